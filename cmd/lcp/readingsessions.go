package main

import (
	"context"
	"log/slog"
	"net/netip"
	"regexp"
	"time"

	"github.com/lcp-tools/lcp/pkg/billing"
	"github.com/lcp-tools/lcp/pkg/delivery"
	"github.com/lcp-tools/lcp/pkg/metering"
	"github.com/lcp-tools/lcp/pkg/sharedsecret"
	"github.com/lcp-tools/lcp/pkg/store"
)

// ReadingSessions rules what is kept of pay per use, and who is told.
type ReadingSessions struct {
	RetentionDays   int      `yaml:"retention_days"`   // of events and sessions
	CloseDay        int      `yaml:"close_day"`        // of a month, on which the one before is closed; 0 for never
	PlatformID      string   `yaml:"platform_id"`      // in COUNTER reports
	PlatformName    string   `yaml:"platform_name"`    // the same
	RegistryRecord  string   `yaml:"registry_record"`  // URL in the COUNTER registry
	WebhookLoopback bool     `yaml:"webhook_loopback"` // webhooks may be http on this machine: for development
	WebhookNetworks []string `yaml:"webhook_networks"` // that are not public and may be called
}

const (
	minRetention = 100 // days: late events may be 90 days old
	maxRetention = 10 * 366
	maxCloseDay  = 28
)

// platformID is what COUNTER takes for the namespace of identifiers.
var platformID = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_./]{1,17}$`)

func (r *ReadingSessions) validate(f *configFaults) {
	if r.RetentionDays < minRetention || r.RetentionDays > maxRetention {
		f.add("reading_sessions.retention_days", "%d is not between %d and %d", r.RetentionDays, minRetention, maxRetention)
	}
	if r.CloseDay < 0 || r.CloseDay > maxCloseDay {
		f.add("reading_sessions.close_day", "%d is not between 1 and %d, nor 0 for never", r.CloseDay, maxCloseDay)
	}
	if !platformID.MatchString(r.PlatformID) {
		f.add("reading_sessions.platform_id", "%q is not 2 to 18 letters, digits, _, . and /, a letter first", r.PlatformID)
	}
	if len(r.PlatformName) < 2 {
		f.add("reading_sessions.platform_name", "%q has less than 2 characters", r.PlatformName)
	}
	for _, text := range r.WebhookNetworks {
		if _, err := netip.ParsePrefix(text); err != nil {
			f.add("reading_sessions.webhook_networks", "%q is not a network, as in 10.0.0.0/8", text)
		}
	}
}

func (r *ReadingSessions) platform() metering.Platform {
	return metering.Platform{ID: r.PlatformID, Name: r.PlatformName, Registry: r.RegistryRecord}
}

// bookkeeper does what has to be done about reading sessions without anybody.
func (r *ReadingSessions) bookkeeper(records *store.Store, callbacks *delivery.Callbacks, log *slog.Logger) *billing.Bookkeeper {
	to := delivery.Callback{Loopback: r.WebhookLoopback}
	for _, text := range r.WebhookNetworks {
		if prefix, err := netip.ParsePrefix(text); err == nil {
			to.Allow = append(to.Allow, prefix)
		}
	}
	return &billing.Bookkeeper{
		Meter: records.Meter(),
		Notify: func(ctx context.Context, url string, s sharedsecret.Secret, body []byte) error {
			to := to
			to.URL = url
			return callbacks.Notify(ctx, to, s, body)
		},
		Retention: time.Duration(r.RetentionDays) * 24 * time.Hour, CloseDay: r.CloseDay, Now: time.Now, Log: log,
	}
}
