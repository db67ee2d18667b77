package delivery

import "github.com/lcp-tools/lcp/pkg/rights"

// ReadAnswer reads an answer as if it had come over HTTP.
func ReadAnswer(status int, contentType string, body []byte) (rights.Token, error) {
	return answer{status, contentType, body}.rights()
}
