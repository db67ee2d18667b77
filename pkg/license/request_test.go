package license_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/certificate"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/profile"
)

// fields returns the fields at fault.
func fields(err error) []string {
	var names []string
	errs := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		errs = joined.Unwrap()
	}
	for _, err := range errs {
		if f, ok := errors.AsType[*license.FieldError](err); ok {
			names = append(names, f.Field)
		}
	}
	return names
}

func TestIssueRefuses(t *testing.T) {
	t.Parallel()
	issuer := newIssuer(t, options(t, certificate.P256))
	negative := int64(-1)
	far := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		change func(*license.Request)
		fields string // at fault, in order
		reason string // part of the error
	}{
		"id that is no UUID":       {func(r *license.Request) { r.ID = "../1" }, "uuid", "UUID"},
		"no id":                    {func(r *license.Request) { r.ID = "" }, "uuid", "UUID"},
		"UUID with misplaced dash": {func(r *license.Request) { r.ID = "ef15e7406-97f-11e3-949a-0800200c9a66" }, "uuid", "UUID"},
		"no date of issue":         {func(r *license.Request) { r.Issued = time.Time{} }, "issued", "required"},
		"year of five digits":      {func(r *license.Request) { r.Rights.End = &far }, "end", "four digits"},
		"updated before issued":    {func(r *license.Request) { r.Updated = r.Issued.Add(-1) }, "updated", `"issued"`},
		"no content key":           {func(r *license.Request) { r.ContentKey = lcpcrypto.ContentKey{} }, "encryption_key", "required"},
		"no location":              {func(r *license.Request) { r.Publication.Href = "" }, "href", "required"},
		"relative location":        {func(r *license.Request) { r.Publication.Href = "/a.epub" }, "href", "absolute"},
		"no content type":          {func(r *license.Request) { r.Publication.ContentType = "" }, "content_type", "required"},
		"title not UTF-8":          {func(r *license.Request) { r.Publication.Title = "\xff" }, "title", "UTF-8"},
		"no size":                  {func(r *license.Request) { r.Publication.Size = 0 }, "size", "bytes"},
		"no checksum":              {func(r *license.Request) { r.Publication.Checksum = "" }, "checksum", "required"},
		"short checksum":           {func(r *license.Request) { r.Publication.Checksum = "8b75" }, "checksum", "64"},
		"base64 checksum": {
			func(r *license.Request) { r.Publication.Checksum = strings.Repeat("+", 64) }, "checksum", "64",
		},
		"no text hint":       {func(r *license.Request) { r.TextHint = " \t" }, "text_hint", "required"},
		"no hash":            {func(r *license.Request) { r.PassHash = "" }, "pass_hash", "required"},
		"short hash":         {func(r *license.Request) { r.PassHash = r.PassHash[1:] }, "pass_hash", "63"},
		"hash not hex":       {func(r *license.Request) { r.PassHash = "G" + r.PassHash[1:] }, "pass_hash", "hexadecimal"},
		"unknown profile":    {func(r *license.Request) { r.Profile = "profile-9" }, "profile", profile.Basic},
		"no profile":         {func(r *license.Request) { r.Profile = "" }, "profile", "unknown"},
		"profile not chosen": {func(r *license.Request) { r.Profile = profile.Any2 }, "profile", "choose"},
		"profile not configured": {
			func(r *license.Request) { r.Profile = profile.V1 }, "profile", "not configured",
		},
		"negative print":         {func(r *license.Request) { r.Rights.Print = &negative }, "print", "negative"},
		"negative copy":          {func(r *license.Request) { r.Rights.Copy = &negative }, "copy", "negative"},
		"end before start":       {func(r *license.Request) { r.Rights.End = &r.Issued }, "end", `"start"`},
		"absent field encrypted": {func(r *license.Request) { r.User.Email = "" }, "user_encrypted", `"email"`},
		"unknown field encrypted": {
			func(r *license.Request) { r.User.Encrypted = []string{"phone"} }, "user_encrypted", `"phone"`,
		},
		"encrypted encrypted": {
			func(r *license.Request) { r.User.Encrypted = []string{"encrypted"} }, "user_encrypted", "stay clear",
		},
		"field encrypted twice": {
			func(r *license.Request) { r.User.Encrypted = []string{"name", "name"} }, "user_encrypted", "twice",
		},
		"name not UTF-8": {func(r *license.Request) { r.User.Name = "\xc3(" }, "user_name", "UTF-8"},
		"extension without URI": {
			func(r *license.Request) { r.User.Fields = map[string]string{"language": "tlh"} }, "user_fields", "URI",
		},
		"second hint link": {
			func(r *license.Request) { r.Links = []license.Link{{Rel: "hint", Href: "https://a.example"}} }, "links[0]", "rel",
		},
		"link of an unknown relation": {
			func(r *license.Request) { r.Links = []license.Link{{Rel: "friend", Href: "https://a.example"}} }, "links[0]", "URI",
		},
		"relative link": {
			func(r *license.Request) { r.Links = []license.Link{{Rel: "support", Href: "help"}} }, "links[0]", "absolute",
		},
		"all faults at once": {
			func(r *license.Request) {
				r.PassHash, r.TextHint, r.User.Encrypted = "x", "", []string{"encrypted", "phone"}
			},
			"text_hint pass_hash user_encrypted user_encrypted", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := request()
			tt.change(&r)
			_, err := issuer.Issue(t.Context(), r)
			if diff := cmp.Diff(strings.Fields(tt.fields), fields(err)); diff != "" {
				t.Fatalf("fields at fault (-want +got):\n%s%v", diff, err)
			}
			if !strings.Contains(err.Error(), tt.reason) {
				t.Errorf("error %q does not say %q", err, tt.reason)
			}
			if r.PassHash != "" && r.PassHash != "x" && strings.Contains(err.Error(), r.PassHash) {
				t.Errorf("error %q has the hash in it", err)
			}
		})
	}
}

func TestIssueAcceptsEdges(t *testing.T) {
	t.Parallel()
	issuer := newIssuer(t, options(t, certificate.P256))
	past := now.AddDate(-1, 0, 0)
	for name, change := range map[string]func(*license.Request){
		"end as it starts":    func(r *license.Request) { r.Rights.End = r.Rights.Start },
		"end in the past":     func(r *license.Request) { r.Rights = license.Rights{End: &past} },
		"lower-case hash":     func(r *license.Request) { r.PassHash = strings.ToLower(r.PassHash) },
		"UUID in capitals":    func(r *license.Request) { r.ID = strings.ToUpper(r.ID) },
		"encrypted id only":   func(r *license.Request) { r.User.Encrypted = []string{"id"} },
		"file as publication": func(r *license.Request) { r.Publication.Href = "file:///srv/books/a%20b.epub" },
		"control characters":  func(r *license.Request) { r.User.Name = "\x00\x1f\u2028" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := request()
			change(&r)
			d := issue(t, issuer, r)
			checkSchema(t, d)
			if _, err := d.Open(lcpcrypto.UserKey(profile.HashPassphrase(passphrase))); err != nil {
				t.Errorf("Open = %v", err)
			}
		})
	}
}

func TestIssuePassesOnTheTransformsError(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	o := options(t, certificate.P256)
	o.Profiles = profile.DeriverFunc(func(context.Context, string, profile.Hash) (lcpcrypto.UserKey, error) {
		return lcpcrypto.UserKey{}, boom
	})
	if _, err := newIssuer(t, o).Issue(t.Context(), request()); !errors.Is(err, boom) || len(fields(err)) != 0 {
		t.Errorf("Issue = %v, want %v", err, boom)
	}
}

func TestRequestDoesNotPrint(t *testing.T) {
	t.Parallel()
	r := request()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		for _, v := range []any{r, &r, r.User, struct{ R license.Request }{r}} {
			got := fmt.Sprintf(verb, v)
			for _, secret := range []string{r.PassHash, r.User.Email, r.User.Name, "1 2 3", "010203"} {
				if strings.Contains(got, secret) {
					t.Errorf("%s prints %q", verb, got)
				}
			}
		}
	}
}

func TestNewIssuerRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*license.Options)
		fields string
		reason string
	}{
		"nothing":                   {func(o *license.Options) { *o = license.Options{} }, "provider signer profiles hint", "required"},
		"provider that is no URI":   {func(o *license.Options) { o.Provider = "shop" }, "provider", "absolute URI"},
		"status without license_id": {func(o *license.Options) { o.Status = "https://a.example/status" }, "status", "{license_id}"},
		"self without license_id":   {func(o *license.Options) { o.Self = "https://a.example/self" }, "self", "{license_id}"},
		"OPDS without license_id":   {func(o *license.Options) { o.OPDS = "https://a.example/opds" }, "opds", "{license_id}"},
		"relative template":         {func(o *license.Options) { o.Status = "/status/{license_id}" }, "status", "absolute"},
		"template of a host only":   {func(o *license.Options) { o.Hint = "a.example/{license_id}" }, "hint", "absolute"},
		"file URL":                  {func(o *license.Options) { o.Hint = "file:///hint" }, "hint", "http"},
		"unknown variable":          {func(o *license.Options) { o.Hint = "https://a.example/{id}" }, "hint", `"id"`},
		"unclosed template":         {func(o *license.Options) { o.Hint = "https://a.example/{license_id" }, "hint", "template"},
		"license_id as the host": {
			func(o *license.Options) { o.Status = "{+license_id}" }, "status", "absolute",
		},
		"bad link": {func(o *license.Options) { o.Links[0].Rel = "" }, "links[0]", "rel"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t, certificate.P256)
			tt.change(&o)
			_, err := license.NewIssuer(o)
			if diff := cmp.Diff(strings.Fields(tt.fields), fields(err)); diff != "" {
				t.Fatalf("fields at fault (-want +got):\n%s%v", diff, err)
			}
			if !strings.Contains(err.Error(), tt.reason) {
				t.Errorf("error %q does not say %q", err, tt.reason)
			}
		})
	}
}

// The forms that configurations use.
func TestTemplateExpand(t *testing.T) {
	t.Parallel()
	for template, want := range map[string]string{
		"https://a.example/x/{license_id}":         "https://a.example/x/1-2",
		"https://a.example/x{?license_id}":         "https://a.example/x?license_id=1-2",
		"https://a.example/x?u=1{&license_id}":     "https://a.example/x?u=1&license_id=1-2",
		"https://a.example{/license_id}/status":    "https://a.example/1-2/status",
		"http://localhost:8989/status/plain%20url": "http://localhost:8989/status/plain%20url",
	} {
		parsed, err := license.ParseTemplate(template)
		if err != nil {
			t.Errorf("ParseTemplate(%q) = %v", template, err)
			continue
		}
		if got, err := parsed.Expand("1-2"); err != nil || got != want {
			t.Errorf("%q expands to %q, %v, want %q", template, got, err, want)
		}
		if got, want := parsed.HasLicenseID(), strings.Contains(template, "license_id"); got != want {
			t.Errorf("HasLicenseID of %q = %v, want %v", template, got, want)
		}
		if parsed.String() != template {
			t.Errorf("String of %q = %q", template, parsed)
		}
	}
}
