// Package billing is what the operator of pay per use does: make license keys,
// decide about origins, close months and take reports, and what has to be done
// without anybody: tell holders of keys, end reviews, close months, forget.
//
// It puts records into the words of the API, so that a server and commands do the
// same. What is counted is in package metering, and where in package store.
package billing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/metering"
	"github.com/lcp-tools/lcp/pkg/store"
)

// An Office does what operators ask for. All fields are required.
type Office struct {
	Store    *store.Store
	Platform metering.Platform
	Now      func() time.Time
	Actor    func(context.Context) string // who asks, for the audit log
}

func fault(field, format string, args ...any) error {
	return &license.FieldError{Field: field, Reason: fmt.Sprintf(format, args...)}
}

func (o *Office) audit(ctx context.Context, action, target, detail string) error {
	return o.Store.Audit(ctx, store.AuditEntry{Actor: o.Actor(ctx), Action: action, Target: target, Detail: detail})
}

// CreateLicenseKey makes a license key. The answer has the secrets, which are not
// shown again: that of webhooks, and that of native apps if they may use the key.
func (o *Office) CreateLicenseKey(ctx context.Context, in api.LicenseKey) (api.LicenseKey, error) {
	k := store.LicenseKey{Agreement: metering.DefaultAgreement()}
	if err := apply(&k, in); err != nil {
		return api.LicenseKey{}, err
	}
	m := o.Store.Meter()
	k, err := m.CreateLicenseKey(ctx, k)
	if err != nil {
		return api.LicenseKey{}, err
	}
	if err := o.audit(ctx, "license key created", k.Key, k.Name); err != nil {
		return api.LicenseKey{}, err
	}
	webhook, err := m.WebhookSecret(&k)
	if err != nil {
		return api.LicenseKey{}, err
	}
	out := licenseKeyOut(&k)
	out.WebhookSecret = webhook.Reveal()
	if in.NativeApps != nil && *in.NativeApps {
		secret, err := m.NewAPISecret(ctx, k.Key)
		if err != nil {
			return api.LicenseKey{}, err
		}
		out.NativeApps, out.APISecret = in.NativeApps, secret.Reveal()
	}
	return out, nil
}

// UpdateLicenseKey changes what a request says of a license key.
func (o *Office) UpdateLicenseKey(ctx context.Context, key string, in api.LicenseKey) (api.LicenseKey, error) {
	if in.LicenseKey != "" && in.LicenseKey != key {
		return api.LicenseKey{}, fault("licenseKey", "is not the one in the path")
	}
	if in.NativeApps != nil {
		return api.LicenseKey{}, fault("nativeApps", "cannot be set: ask for a new API secret")
	}
	k, err := o.Store.Meter().UpdateLicenseKey(ctx, key, func(k *store.LicenseKey) error { return apply(k, in) })
	if err == nil {
		err = o.audit(ctx, "license key updated", key, "")
	}
	return licenseKeyOut(&k), err
}

// apply puts what a request says over a license key.
func apply(k *store.LicenseKey, in api.LicenseKey) error {
	for field, given := range map[string]bool{
		"openMonth": in.OpenMonth != "", "blockedSince": in.BlockedSince != nil, "created": in.Created != nil,
		"apiSecret": in.APISecret != "", "webhookSecret": in.WebhookSecret != "",
	} {
		if given {
			return fault(field, "cannot be set")
		}
	}
	if k.Name = cmp.Or(in.Name, k.Name); k.Name == "" {
		return fault("name", "is missing")
	}
	for _, d := range []struct {
		given *int64
		value *time.Duration
	}{{in.ActivationThreshold, &k.Threshold}, {in.SessionValidity, &k.Validity}, {in.OfflineValidity, &k.OfflineValidity}} {
		if d.given != nil {
			*d.value = time.Duration(min(max(*d.given, -1), 1<<30)) * time.Second // what is too long is refused below
		}
	}
	if in.OriginPolicy != "" {
		k.Policy = metering.Policy(in.OriginPolicy)
	}
	if in.Disabled != nil {
		k.Disabled = *in.Disabled
	}
	if in.Webhook != nil {
		if err := checkWebhook(*in.Webhook); err != nil {
			return err
		}
		k.Webhook = *in.Webhook
	}
	return nil
}

func checkWebhook(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
		return fault("webhook", "must be an absolute https URL without user and fragment")
	}
	return nil
}

func licenseKeyOut(k *store.LicenseKey) api.LicenseKey {
	whole := func(d time.Duration) *int64 {
		n := int64(d / time.Second)
		return &n
	}
	return api.LicenseKey{
		LicenseKey: k.Key, Name: k.Name, ActivationThreshold: whole(k.Threshold), SessionValidity: whole(k.Validity),
		OfflineValidity: whole(k.OfflineValidity), OriginPolicy: string(k.Policy), Webhook: &k.Webhook, Disabled: &k.Disabled,
		NativeApps: &k.HasAPISecret, OpenMonth: k.OpenMonth.String(), BlockedSince: optional(k.BlockedSince), Created: optional(k.CreatedAt),
	}
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// LicenseKeys lists all license keys, in the order in which they were made.
func (o *Office) LicenseKeys(ctx context.Context) ([]api.LicenseKey, error) {
	list, err := o.Store.Meter().LicenseKeys(ctx)
	out := make([]api.LicenseKey, len(list))
	for i := range list {
		out[i] = licenseKeyOut(&list[i])
	}
	return out, err
}

// LicenseKey returns a license key.
func (o *Office) LicenseKey(ctx context.Context, key string) (api.LicenseKey, error) {
	k, err := o.Store.Meter().LicenseKey(ctx, key)
	return licenseKeyOut(&k), err
}

// NewAPISecret makes a new secret for the native apps of a license key, which
// takes the place of the one before. It is shown once.
func (o *Office) NewAPISecret(ctx context.Context, key string) (api.LicenseKey, error) {
	secret, err := o.Store.Meter().NewAPISecret(ctx, key)
	if err == nil {
		err = o.audit(ctx, "API secret made", key, "")
	}
	return api.LicenseKey{LicenseKey: key, APISecret: secret.Reveal()}, err
}

// NewWebhookSecret is NewAPISecret for what notifications are signed with.
func (o *Office) NewWebhookSecret(ctx context.Context, key string) (api.LicenseKey, error) {
	secret, err := o.Store.Meter().NewWebhookSecret(ctx, key)
	if err == nil {
		err = o.audit(ctx, "webhook secret made", key, "")
	}
	return api.LicenseKey{LicenseKey: key, WebhookSecret: secret.Reveal()}, err
}

// Decide approves or blocks an origin, or all that a wildcard matches.
func (o *Office) Decide(ctx context.Context, in api.Origin) (api.Origin, error) {
	p, err := metering.ParsePattern(in.Origin)
	if err != nil {
		return in, fault("origin", "%v", err)
	}
	state := metering.State(in.State)
	switch {
	case state != metering.Approved && state != metering.Blocked:
		return in, fault("state", "must be approved or blocked")
	case in.FirstSeen != nil || in.ReviewUntil != nil || in.DecidedAt != nil || in.DecidedBy != "":
		return in, fault("origin", "has times or names that cannot be set")
	case strings.TrimSpace(in.Group) != in.Group || strings.ContainsFunc(in.Group, func(c rune) bool { return c < ' ' }):
		return in, fault("group", "has control characters, or spaces at an end")
	}
	by := o.Actor(ctx)
	if err := o.Store.Meter().Decide(ctx, in.LicenseKey, metering.Rule{Pattern: p, State: state, Group: in.Group}, by); err != nil {
		return in, err
	}
	in.Origin, in.DecidedBy = string(p), by
	now := o.Now().UTC().Truncate(time.Millisecond)
	in.DecidedAt, in.Group = &now, cmp.Or(in.Group, string(p))
	return in, o.audit(ctx, "origin "+in.State, in.LicenseKey, in.Origin)
}

// Forget removes the rule about an origin or a wildcard.
func (o *Office) Forget(ctx context.Context, key, origin string) error {
	p, err := metering.ParsePattern(origin)
	if err != nil {
		return fault("origin", "%v", err)
	}
	if err := o.Store.Meter().Forget(ctx, key, p); err != nil {
		return err
	}
	return o.audit(ctx, "origin forgotten", key, string(p))
}

// Origins lists the origins that were met, and the rules: of a license key or of
// all, in a state or in any.
func (o *Office) Origins(ctx context.Context, key, state string) ([]api.Origin, error) {
	if state != "" {
		if _, err := metering.ParseState(state); err != nil {
			return nil, fault("state", "%v", err)
		}
	}
	list, err := o.Store.Meter().Origins(ctx, key, metering.State(state))
	out := make([]api.Origin, len(list))
	for i, r := range list {
		out[i] = api.Origin{
			LicenseKey: r.LicenseKey, Origin: string(r.Pattern), State: string(r.State), Group: r.Group,
			FirstSeen: optional(r.FirstSeen), ReviewUntil: optional(r.ReviewUntil), DecidedAt: optional(r.DecidedAt), DecidedBy: r.DecidedBy,
		}
	}
	return out, err
}

// months returns the months of a period.
func months(p api.Period, now time.Time) (from, to metering.Month, err error) {
	from, to = metering.MonthOf(now), metering.MonthOf(now)
	if p.From != "" {
		if from, err = metering.ParseMonth(p.From); err != nil {
			return 0, 0, fault("from", "%v", err)
		}
		to = max(to, from)
	}
	if p.To != "" {
		if to, err = metering.ParseMonth(p.To); err != nil {
			return 0, 0, fault("to", "%v", err)
		}
		if p.From == "" {
			from = to
		}
	}
	switch {
	case to < from:
		return 0, 0, fault("to", "lies before from")
	case to-from >= maxMonths:
		return 0, 0, fault("to", "is more than %d months after from", maxMonths)
	}
	return from, to, nil
}

const maxMonths = 120

// Usage reports what is billed.
func (o *Office) Usage(ctx context.Context, p api.Period) ([]metering.Row, error) {
	from, to, err := months(p, o.Now())
	if err != nil {
		return nil, err
	}
	grouping, err := metering.ParseGrouping(p.GroupBy)
	if err != nil {
		return nil, fault("groupBy", "%v", err)
	}
	return o.Store.Meter().Usage(ctx, store.UsageFilter{LicenseKey: p.LicenseKey, From: from, To: to, Grouping: grouping})
}

// TitleReport reports to the holder of a license key which titles were asked for,
// as COUNTER wants it. It goes through events, which are kept for a time.
func (o *Office) TitleReport(ctx context.Context, p api.Period) (*metering.TitleReport, error) {
	from, to, err := months(p, o.Now())
	switch {
	case err != nil:
		return nil, err
	case p.LicenseKey == "":
		return nil, fault("licenseKey", "is missing: a COUNTER report is on one institution")
	case p.GroupBy != "":
		return nil, fault("groupBy", "does not apply: a COUNTER report is by title")
	}
	k, use, err := o.Store.Meter().TitleUse(ctx, p.LicenseKey, from, to)
	if err != nil {
		return nil, err
	}
	r := metering.NewTitleReport(o.Platform, k.Key, k.Name, from, to, o.Now())
	for token, performance := range use {
		item, err := o.title(ctx, token)
		if err != nil {
			return nil, err
		}
		item.Attributes[0].Performance = performance
		r.Items = append(r.Items, item)
	}
	slices.SortFunc(r.Items, func(a, b metering.TitleItem) int {
		return cmp.Or(strings.Compare(a.Title, b.Title), strings.Compare(a.ItemID["Proprietary"], b.ItemID["Proprietary"]))
	})
	return r, nil
}

// isbn finds an ISBN-13 with its hyphens, as COUNTER wants it.
var isbn = regexp.MustCompile(`^97[89]-[0-9]+-[0-9]+-[0-9]+-[0-9]$`)

// title describes a publication, by the record that has its token as identifier or
// alternative identifier, if there is one.
func (o *Office) title(ctx context.Context, token string) (metering.TitleItem, error) {
	item := metering.TitleItem{
		Title: token, Platform: o.Platform.Name, ItemID: map[string]string{"Proprietary": o.Platform.ID + ":" + token},
		Attributes: []metering.TitleAttributes{{DataType: "Book", YOP: metering.UnknownYear}},
	}
	if len(token) == 17 && isbn.MatchString(token) {
		item.ItemID["ISBN"] = token
	}
	p, err := o.Store.PublicationByAltID(ctx, token)
	if errors.Is(err, store.ErrNotFound) {
		p, err = o.Store.Publication(ctx, strings.ToLower(token))
	}
	if errors.Is(err, store.ErrNotFound) {
		return item, nil
	}
	if err != nil {
		return item, err
	}
	item.Title, item.Publisher = cmp.Or(p.Title, token), strings.Join(p.Publishers, "; ")
	if len(p.Published) >= 4 && strings.Trim(p.Published[:4], "0123456789") == "" {
		item.Attributes[0].YOP = p.Published[:4]
	}
	return item, nil
}

// CloseMonth closes a month, and all before it, of a license key or of all.
func (o *Office) CloseMonth(ctx context.Context, in api.Closing) (api.Closing, error) {
	month, err := metering.ParseMonth(in.Month)
	if err != nil {
		return in, fault("month", "%v", err)
	}
	if in.Closed != nil {
		return in, fault("closed", "cannot be set")
	}
	keys := []string{in.LicenseKey}
	if in.LicenseKey == "" {
		all, err := o.Store.Meter().LicenseKeys(ctx)
		if err != nil {
			return in, err
		}
		keys = keys[:0]
		for _, k := range all {
			keys = append(keys, k.Key)
		}
	}
	in.Closed = []string{}
	for _, key := range keys {
		closed, err := o.Store.Meter().CloseMonth(ctx, key, month)
		if errors.Is(err, store.ErrMonthOpen) {
			return in, fault("month", "is not over")
		}
		if err == nil && closed {
			in.Closed = append(in.Closed, key)
			err = o.audit(ctx, "month closed", key, month.String())
		}
		if err != nil {
			return in, err
		}
	}
	return in, nil
}

// EraseUser forgets a user of a license key.
func (o *Office) EraseUser(ctx context.Context, key string, in api.Erasure) (api.Erasure, error) {
	if in.UserToken == "" || in.Erased {
		return in, fault("userToken", "is missing, or comes with what cannot be set")
	}
	erased, err := o.Store.Meter().EraseUser(ctx, key, in.UserToken)
	if err == nil && erased {
		err = o.audit(ctx, "reader erased", key, "")
	}
	return api.Erasure{Erased: erased}, err
}
