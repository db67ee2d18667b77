package store

import "time"

// A License is the record of a license: what a fresh license document and a
// status document are made from. It holds no personal data but UserID. Times
// are UTC and hold milliseconds; a zero time means that there is none.
type License struct {
	UUID            string
	PublicationUUID string
	UserID          string
	Provider        string
	Profile         string // URI of the encryption profile; stays for the life of the license
	Start           time.Time
	End             time.Time
	MaxEnd          time.Time // no renewal goes beyond it
	Copy            *int64    // characters; nil means no limit
	Print           *int64    // pages; nil means no limit
	Status          string    // one of the LSD states, as last stored: time alone changes nothing here
	StatusUpdated   time.Time
	Issued          time.Time
	Updated         time.Time // when what the license document says last changed
	DeviceCount     int       // registered devices; the store keeps it
}

// EventRegister is the type of the event that registers a device with a license
// (LSD §3.3), the one type that means something to the store.
const EventRegister = "register"

// An Event is something that happened to a license, as a status document lists
// it (LSD §2.7).
type Event struct {
	Type       string // register, renew, return, revoke or cancel
	DeviceID   string
	DeviceName string
	At         time.Time
}

// A Device is a device that was registered with a license.
type Device struct {
	ID         string
	Name       string // as it was at the registration
	Registered time.Time
}

// A LicenseFilter says which licenses to list. Fields that are set must all
// match; the zero value means all licenses.
type LicenseFilter struct {
	UserID          string
	PublicationUUID string
	Status          string // as stored
	DeviceID        string // registered with it
	MinDevices      int
	MaxDevices      int // 0 means no limit
}
