// Package api holds the JSON that clients and the license server exchange, under
// the names of the documented LCP Server API, and how it is read: strictly, with
// errors that name the field. It knows no store and no HTTP, so that commands
// and servers share it without knowing one another.
package api

import (
	"encoding/json"
	"time"
)

// MaxBody bounds a request in bytes.
const MaxBody = 1 << 20

// A LicenseRequest asks for a license or a fresh license. What a fresh license
// keeps from the first one is ignored there.
type LicenseRequest struct {
	PublicationID string     `json:"publication_id,omitempty"` // or AltID
	AltID         string     `json:"alt_id,omitempty"`
	UserID        string     `json:"user_id"`
	UserName      string     `json:"user_name,omitempty"`
	UserEmail     string     `json:"user_email,omitempty"`
	UserEncrypted []string   `json:"user_encrypted,omitempty"` // names of the fields to encrypt: name, email, id
	Start         *time.Time `json:"start,omitempty"`
	End           *time.Time `json:"end,omitempty"`
	Copy          *int64     `json:"copy,omitempty"`          // characters; absent, or -1, is no limit
	Print         *int64     `json:"print,omitempty"`         // pages; absent, or -1, is no limit
	PlayDuration  string     `json:"play_duration,omitempty"` // ISO 8601, from the registration of the first device: the license ends then, if not before
	Profile       string     `json:"profile,omitempty"`       // URI; the server's default if absent
	TextHint      string     `json:"text_hint"`
	PassHash      string     `json:"pass_hash"` // SHA-256 of the passphrase, 64 hexadecimal digits
}

// A Publication is the record of a protected publication, to be created or
// updated, or as found. The content key is shown only to those who may encrypt
// with it.
type Publication struct {
	UUID          string `json:"uuid"`
	AltID         string `json:"alt_id,omitempty"`
	Provider      string `json:"provider,omitempty"` // URI
	ContentType   string `json:"content_type"`
	Title         string `json:"title"`
	Description   string `json:"description,omitempty"`
	Authors       string `json:"authors,omitempty"`    // separated by commas
	Publishers    string `json:"publishers,omitempty"` // separated by commas
	CoverURL      string `json:"cover_url,omitempty"`
	EncryptionKey []byte `json:"encryption_key,omitempty"` // Base64 in JSON
	Href          string `json:"href"`
	Size          int64  `json:"size"`
	Checksum      string `json:"checksum"` // SHA-256, 64 hexadecimal digits
	Stamps
}

// A LicenseInfo is the record of a license, without anything personal but the
// identifier of the user.
type LicenseInfo struct {
	UUID             string     `json:"uuid"`
	UserID           string     `json:"user_id"`
	PublicationID    string     `json:"publication_id"`
	Provider         string     `json:"provider"` // URI
	Start            *time.Time `json:"start,omitempty"`
	End              *time.Time `json:"end,omitempty"`
	MaxEnd           *time.Time `json:"max_end,omitempty"`
	Copy             *int64     `json:"copy,omitempty"`
	Print            *int64     `json:"print,omitempty"`
	PlayDuration     string     `json:"play_duration,omitempty"`
	Status           string     `json:"status"`
	Updated          *time.Time `json:"updated,omitempty"`
	StatusUpdated    *time.Time `json:"status_updated,omitempty"`
	DeviceCount      int        `json:"device_count"`
	PublicationTitle string     `json:"publication_title,omitempty"`
	Stamps
}

// Stamps are members of records that the documented server shows under the names
// of its database library. They are shown for those who read them, and ignored
// in requests, where clients send back what they got.
type Stamps struct {
	ID           json.RawMessage `json:"ID,omitempty"`
	CreatedAt    *time.Time      `json:"CreatedAt,omitempty"`
	UpdatedAt    *time.Time      `json:"UpdatedAt,omitempty"`
	DeletedAt    json.RawMessage `json:"DeletedAt,omitempty"`
	CreatedSnake *time.Time      `json:"created_at,omitempty"`
}

// An Event is something that happened to a license.
type Event struct {
	Timestamp  time.Time `json:"timestamp"`
	Type       string    `json:"type"` // register, renew, return, revoke, cancel
	DeviceName string    `json:"device_name"`
	DeviceID   string    `json:"device_id"`
}

// Figures are the totals that the dashboard shows.
type Figures struct {
	TotalPublications       int64   `json:"total_publications"`
	TotalUsers              int64   `json:"total_users"`
	TotalLicenses           int64   `json:"total_licenses"`
	LicensesLast12Months    int64   `json:"licenses_last_12_months"`
	LicensesLastMonth       int64   `json:"licenses_last_month"`
	LicensesLastWeek        int64   `json:"licenses_last_week"`
	LicensesLastDay         int64   `json:"licenses_last_day"`
	OldestLicenseDate       string  `json:"oldest_license_date"`
	LatestLicenseDate       string  `json:"latest_license_date"`
	OversharedLicensesCount int64   `json:"overshared_licenses_count"`
	PublicationTypes        []Count `json:"publication_types"`
	LicenseStatuses         []Count `json:"license_statuses"`
	ChartData               []Month `json:"chart_data"`
}

// A Count is how many there are of a kind.
type Count struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
}

// A Month is how many licenses were issued in a month.
type Month struct {
	Month    string `json:"month"` // such as Jan
	Licenses int64  `json:"licenses"`
}

// An OversharedLicense is one that more devices use than is usual.
type OversharedLicense struct {
	ID            string `json:"id"`
	PublicationID string `json:"publication_id"`
	AltID         string `json:"alt_id"`
	Title         string `json:"title"`
	UserID        string `json:"user_id"`
	Type          string `json:"type"` // loan or buy
	Status        string `json:"status"`
	Devices       int    `json:"devices"`
}

// A GatewayRequest asks the license gateway for a new license. All of it may be
// left to a token, which goes over it.
type GatewayRequest struct {
	AssetID    string            `json:"assetId,omitempty"`    // identifier or alternative identifier of the publication
	Merchant   string            `json:"merchant,omitempty"`   // name of the provider, where a server has several
	UserID     string            `json:"userId,omitempty"`     // as the client claims
	SessionID  string            `json:"sessionId,omitempty"`  // of the shop, for its callback
	Client     string            `json:"client,omitempty"`     // identifier of the device, for the callback
	ClientInfo map[string]string `json:"clientInfo,omitempty"` // of the reading app, for the callback
}

// Deleted says how many records were removed.
type Deleted struct {
	Deleted int64 `json:"deleted"`
}
