// Package readingclient holds the module with which web readers report reading
// sessions to lcp serve. It is JavaScript for browsers, without dependencies; what
// becomes of the reports is known elsewhere.
package readingclient

import _ "embed"

// MediaType is that of the module (RFC 9239).
const MediaType = "text/javascript; charset=utf-8"

//go:embed reading-sessions.js
var module string

// Module returns the module. How it is used stands in its first lines.
func Module() []byte { return []byte(module) }
