package api

import (
	"encoding/json"
	"time"
)

// A ReadingEvent reports active use of a publication since the event before it.
type ReadingEvent struct {
	LicenseKey           string     `json:"licenseKey,omitempty"` // may be left to the batch that the event is in
	UserToken            string     `json:"userToken"`
	PublicationToken     string     `json:"publicationToken"`
	DeviceToken          string     `json:"deviceToken,omitempty"`
	PublicationSignature string     `json:"publicationSignature,omitempty"`
	OccurredAt           *time.Time `json:"occurredAt"`
	ActiveSeconds        *int64     `json:"activeSeconds"`
	EventID              string     `json:"eventId"`
	Offline              bool       `json:"offline,omitempty"` // it was kept while there was no connection
}

// A ReadingBatch has events of one license key.
type ReadingBatch struct {
	LicenseKey string            `json:"licenseKey,omitempty"` // of the events that name none
	Events     []json.RawMessage `json:"events"`               // each a ReadingEvent, so that one with faults spoils no other
}

// A ReadingOutcome is what became of an event.
type ReadingOutcome struct {
	Index        *int            `json:"index,omitempty"` // in a batch, from 0
	EventID      string          `json:"eventId,omitempty"`
	Status       string          `json:"status,omitempty"` // started, continued, blocked, pending_activity; none if the event has faults
	Reason       string          `json:"reason,omitempty"` // for which it is blocked
	SessionID    string          `json:"sessionId,omitempty"`
	ValidUntil   *time.Time      `json:"validUntil,omitempty"`
	OfflineUntil *time.Time      `json:"offlineUntil,omitempty"`
	Problem      json.RawMessage `json:"problem,omitempty"` // why the event does not count (RFC 9457)
}

// A ReadingAnswer answers a batch.
type ReadingAnswer struct {
	Results []ReadingOutcome `json:"results"` // in the order of the events
	Failed  int              `json:"failed"`  // how many of them have a problem
}

// A LicenseKey is an agreement on pay per use. What a request leaves out stays as
// it is, or is the default. Times are in seconds.
type LicenseKey struct {
	LicenseKey          string     `json:"licenseKey,omitempty"`
	Name                string     `json:"name,omitempty"`                // of its holder
	ActivationThreshold *int64     `json:"activationThreshold,omitempty"` // of active use, before a session starts
	SessionValidity     *int64     `json:"sessionValidity,omitempty"`
	OfflineValidity     *int64     `json:"offlineValidity,omitempty"` // 0 forbids use offline
	OriginPolicy        string     `json:"originPolicy,omitempty"`    // block or review
	Webhook             *string    `json:"webhook,omitempty"`         // URL that is told of origins to decide about
	Disabled            *bool      `json:"disabled,omitempty"`
	NativeApps          *bool      `json:"nativeApps,omitempty"` // there is an API secret
	OpenMonth           string     `json:"openMonth,omitempty"`  // the first that is not closed
	BlockedSince        *time.Time `json:"blockedSince,omitempty"`
	Created             *time.Time `json:"created,omitempty"`
	APISecret           string     `json:"apiSecret,omitempty"`     // shown once
	WebhookSecret       string     `json:"webhookSecret,omitempty"` // shown once
}

// An Origin is where reading systems run, or a rule about such.
type Origin struct {
	LicenseKey  string     `json:"licenseKey"`
	Origin      string     `json:"origin"` // or a wildcard, as https://*.example.org
	State       string     `json:"state"`  // approved, blocked, pending, unknown
	Group       string     `json:"group,omitempty"`
	FirstSeen   *time.Time `json:"firstSeen,omitempty"`
	ReviewUntil *time.Time `json:"reviewUntil,omitempty"`
	DecidedAt   *time.Time `json:"decidedAt,omitempty"`
	DecidedBy   string     `json:"decidedBy,omitempty"`
}

// A Closing closes a month, and all before it.
type Closing struct {
	LicenseKey string   `json:"licenseKey,omitempty"` // "" for all
	Month      string   `json:"month"`                // as in 2030-01
	Closed     []string `json:"closed,omitempty"`     // license keys for which it was not closed yet
}

// An Erasure forgets a user.
type Erasure struct {
	UserToken string `json:"userToken,omitempty"`
	Erased    bool   `json:"erased,omitempty"` // there was such a user
}

// A Period asks for a report: from a month to a month, both of which count, as in
// 2030-01. Without any it is the present month.
type Period struct {
	LicenseKey string // "" for all
	From, To   string
	GroupBy    string // origin, publication, both with a comma, or neither
}
