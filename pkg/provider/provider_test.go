package provider_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lcp-tools/lcp/pkg/delivery"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/provider"
	"github.com/lcp-tools/lcp/pkg/rights"
)

const full = `{
	"id": "shop-2", "name": "The Shop", "uri": "https://shop.example",
	"certificate": {"cert": "/etc/shop.crt", "private_key": "/etc/shop.key"},
	"profile": "http://readium.org/lcp/basic-profile",
	"hint_link": "https://shop.example/hint{?license_id}",
	"hint": {"text": "Ask **us**.", "link": "https://shop.example/recover", "texts": {"fr": {"text": "Demandez."}}},
	"support_links": ["mailto:help@shop.example", "https://shop.example/help"],
	"languages": ["en", "pt-BR"],
	"renewal": {"default_days": 7, "max_days": 30, "allow_on_expired": true, "link": "https://shop.example/renew/{license_id}"},
	"authorization": {
		"mode": "allow-all", "until": "2030-01-31T12:00:00Z", "merchant": "theShop", "strict": true,
		"callback": {"url": "https://shop.example/lcp", "allow": ["10.1.0.0/16"], "concurrency": 8, "loopback": true},
		"rights": {"profile": {"type": "rental", "relativeExpiration": "P1D"}}
	},
	"snapshot_users": true,
	"key_retrieval": {"authentication": "https://shop.example/auth", "publication_link": "https://shop.example/opds/{license_id}"}
}`

func parse(t *testing.T, text string) provider.Provider {
	t.Helper()
	p, err := provider.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestJSONComesBack(t *testing.T) {
	t.Parallel()
	p := parse(t, full)
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	again := parse(t, string(data))
	if d := cmp.Diff(p, again, cmpopts.EquateComparable(p.Authorization.Callback.Allow[0]), cmp.Comparer(sameJSON)); d != "" {
		t.Error(d)
	}
	if p.Renewal.Policy().RenewMax != 30*24*time.Hour || !p.Authorization.Callback.Allow[0].IsValid() {
		t.Errorf("read %+v", p)
	}
}

func sameJSON(a, b json.RawMessage) bool {
	return strings.Join(strings.Fields(string(a)), "") == strings.Join(strings.Fields(string(b)), "")
}

// fields returns the fields that an error is about.
func fields(err error) []string {
	var list []string
	var walk func(error)
	walk = func(err error) {
		if many, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range many.Unwrap() {
				walk(e)
			}
			return
		}
		if f, ok := errors.AsType[*license.FieldError](err); ok {
			list = append(list, f.Field)
		} else if err != nil {
			list = append(list, "? "+err.Error())
		}
	}
	walk(err)
	slices.Sort(list)
	return list
}

func TestParseNamesFields(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		`{"id":"a","colour":1,"renewal":{"max_days":"x","days":1}}`: {"colour", "renewal.days", "renewal.max_days"},
		`{"authorization":{"callback":{"url":1,"allow":["x"]}}}`:    {"authorization.callback.allow", "authorization.callback.url"},
		`{"authorization":{"until":"tomorrow"}}`:                    {"authorization.until"},
		`{"authorization":null,"hint":null,"renewal":null}`:         nil,
		`{"hint":[]}`:                     {"hint"},
		`{"hint":{"text":"a","text":""}}`: {"hint.text"},
	} {
		_, err := provider.Parse([]byte(text))
		if got := fields(err); !slices.Equal(got, want) {
			t.Errorf("%s: faults of %q, want %q: %v", text, got, want, err)
		}
	}
}

func TestCheckNamesFields(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*provider.Provider)
		want   []string
	}{
		"in order":      {func(*provider.Provider) {}, nil},
		"nothing said":  {func(p *provider.Provider) { *p = provider.Provider{ID: "a", URI: "urn:a:b"} }, nil},
		"empty":         {func(p *provider.Provider) { *p = provider.Provider{} }, []string{"id", "uri"}},
		"id of others":  {func(p *provider.Provider) { p.ID = "Shop" }, []string{"id"}},
		"hyphen first":  {func(p *provider.Provider) { p.ID = "-a" }, []string{"id"}},
		"long id":       {func(p *provider.Provider) { p.ID = strings.Repeat("a", 64) }, []string{"id"}},
		"relative URI":  {func(p *provider.Provider) { p.URI = "shop.example" }, []string{"uri"}},
		"half a pair":   {func(p *provider.Provider) { p.Certificate.PrivateKey = "" }, []string{"certificate"}},
		"profile":       {func(p *provider.Provider) { p.Profile = "x" }, []string{"profile"}},
		"hint template": {func(p *provider.Provider) { p.HintLink = "/x" }, []string{"hint_link"}},
		"hint links": {func(p *provider.Provider) {
			p.Hint = provider.Hint{
				Link: "javascript:alert(1)", Texts: map[string]provider.HintText{"fr": {Link: "data:x"}, "no language": {}},
			}
		}, []string{"hint.link", "hint.texts.fr.link", "hint.texts.no language"}},
		"lists": {func(p *provider.Provider) {
			p.SupportLinks, p.Languages = []string{"help"}, []string{""}
		}, []string{"languages", "support_links"}},
		"renewal": {func(p *provider.Provider) {
			p.Renewal = &provider.Renewal{DefaultDays: -1, MaxDays: 1e6, Link: "https://shop.example/renew"}
		}, []string{"renewal.default_days", "renewal.link", "renewal.max_days"}},
		"mode":       {func(p *provider.Provider) { p.Authorization.Mode = "all" }, []string{"authorization.mode"}},
		"no end":     {func(p *provider.Provider) { p.Authorization.Until = time.Time{} }, []string{"authorization"}},
		"no service": {func(p *provider.Provider) { p.Authorization = provider.Authorization{Mode: delivery.Fallback} }, []string{"authorization"}},
		"callback": {func(p *provider.Provider) {
			p.Authorization.Callback.Concurrency = -1
		}, []string{"authorization.callback.concurrency"}},
		"rights": {func(p *provider.Provider) {
			p.Authorization.Rights = json.RawMessage(`{"profile":{"type":"purchase"},"copies":1}`)
		}, []string{"authorization.rights.copies"}},
		"key retrieval": {func(p *provider.Provider) {
			p.KeyRetrieval = provider.KeyRetrieval{PublicationLink: "https://shop.example/opds", Authentication: "auth.json"}
		}, []string{"key_retrieval.authentication", "key_retrieval.publication_link"}},
		"authentication for nothing": {func(p *provider.Provider) {
			p.KeyRetrieval.PublicationLink = ""
		}, []string{"key_retrieval.publication_link"}},
	} {
		p := parse(t, full)
		tt.change(&p)
		if err := p.Check(); !slices.Equal(fields(err), tt.want) {
			t.Errorf("%s: %v, want faults of %q", name, err, tt.want)
		}
	}
}

func TestDelivery(t *testing.T) {
	t.Parallel()
	p := parse(t, full)
	d, err := p.Delivery()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Check(); err != nil {
		t.Error(err)
	}
	if d.ID != "shop-2" || d.Merchant != "theShop" || d.Mode != delivery.AllowAll || !d.Strict || d.Until.Year() != 2030 ||
		d.Callback.Concurrency != 8 || len(d.Callback.Allow) != 1 || d.Open.Kind != rights.Rental {
		t.Errorf("got %+v", d)
	}
	p.Authorization.Merchant, p.Authorization.Rights = "", json.RawMessage(`[]`)
	if p.Merchant() != "shop-2" {
		t.Errorf("merchant %q", p.Merchant())
	}
	// Rights that cannot be read must not turn into those that allow-all has without any.
	if d, err := p.Delivery(); err == nil || d.Mode != "" {
		t.Errorf("without rights that can be read: %+v, %v", d, err)
	}
}
