package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/lcp-tools/lcp/pkg/access"
	"github.com/lcp-tools/lcp/pkg/delivery"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/server"
	"github.com/lcp-tools/lcp/pkg/store"
)

func TestProviders(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	shop := object{
		"id": "shop", "name": "Shop", "uri": "https://shop.example.org", "languages": []string{"fr"},
		"renewal": object{"max_days": 9}, "authorization": object{"mode": "token", "merchant": "theShop"},
	}
	made := decode[object](t, r.must(t, http.StatusCreated, "POST", "/providers", shop))
	if made["source"] != "database" || made["name"] != "Shop" {
		t.Errorf("made %v", made)
	}
	pub := r.addPublication(t, object{"provider": "https://shop.example.org"})
	doc := decode[license.Document](t, r.must(t, http.StatusCreated, "POST", "/licenses", licenseRequest(pub)))
	if doc.Provider != "https://shop.example.org" {
		t.Errorf("license of a new provider is of %s", doc.Provider)
	}
	r.register(t, doc.ID, deviceID)
	if end := r.status(t, doc.ID).PotentialRights.End; !end.Equal(epoch.AddDate(0, 0, 14+9)) {
		t.Errorf("can be renewed until %s", end)
	}
	// What was read can be written, and leaving out the URI keeps it.
	made["renewal"] = object{"max_days": 3}
	r.must(t, http.StatusOK, "PUT", "/providers/shop", made)
	if end := r.info(t, r.addLicense(t, pub))["max_end"]; end != stamp(epoch.AddDate(0, 0, 14+3)) {
		t.Errorf("after a change licenses can be renewed until %s", end)
	}
	got := decode[object](t, r.must(t, http.StatusOK, "PUT", "/providers/shop", object{"name": "Other"}))
	if got["uri"] != "https://shop.example.org" || got["id"] != "shop" || got["renewal"] != nil {
		t.Errorf("after a replacement: %v", got)
	}
	list := decode[[]object](t, r.must(t, http.StatusOK, "GET", "/providers", nil))
	if len(list) != 3 || list[0]["id"] != "default" || list[0]["source"] != "configuration" || list[2]["id"] != "shop" {
		t.Errorf("providers are %v", list)
	}
	r.must(t, http.StatusConflict, "DELETE", "/providers/shop", nil) // it has a license
	r.must(t, http.StatusCreated, "POST", "/providers", object{"id": "empty", "uri": "https://empty.example.org"})
	r.must(t, http.StatusNoContent, "DELETE", "/providers/empty", nil)
	r.must(t, http.StatusNotFound, "GET", "/providers/empty", nil)

	log, _, err := r.store.AuditLog(t.Context(), store.AuditFilter{Target: "shop"}, store.Page{Limit: 10})
	if err != nil || len(log) != 3 || log[2].Action != "provider created" || log[0].Actor != string(access.Admin) {
		t.Errorf("audit log: %v, %v", log, err)
	}
}

func TestProvidersRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.must(t, http.StatusCreated, "POST", "/providers", object{"id": "shop", "uri": "https://shop.example.org"})
	for name, tt := range map[string]struct {
		method, path string
		body         object
		code         int
		field        string
	}{
		"nothing":            {"POST", "", object{}, 400, "id"},
		"taken id":           {"POST", "", object{"id": "shop", "uri": "https://x.example.org"}, 409, "id"},
		"taken URI":          {"POST", "", object{"id": "x", "uri": "https://shop.example.org"}, 400, "uri"},
		"taken merchant":     {"POST", "", object{"id": "x", "uri": "urn:x:y", "authorization": object{"merchant": "shop"}}, 400, "authorization.merchant"},
		"configured id":      {"POST", "", object{"id": "second", "uri": "urn:x:y"}, 409, ""},
		"default":            {"POST", "", object{"id": "default", "uri": "urn:x:y"}, 409, ""},
		"unknown field":      {"POST", "", object{"id": "x", "uri": "urn:x:y", "hint": object{"colour": 1}}, 400, "hint.colour"},
		"no certificate":     {"POST", "", object{"id": "x", "uri": "urn:x:y", "certificate": object{"cert": "a", "private_key": "b"}}, 400, "certificate"},
		"another URI":        {"PUT", "/shop", object{"uri": "https://x.example.org"}, 400, "uri"},
		"another id":         {"PUT", "/shop", object{"id": "x"}, 400, "id"},
		"change configured":  {"PUT", "/second", object{"name": "x"}, 409, ""},
		"unknown":            {"PUT", "/x", object{"name": "x"}, 404, ""},
		"delete configured":  {"DELETE", "/second", nil, 409, ""},
		"delete the default": {"DELETE", "/default", nil, 409, ""},
	} {
		var body any
		if tt.body != nil {
			body = tt.body
		}
		a := r.do(t, tt.method, "/providers"+tt.path, body)
		p := decode[server.Problem](t, a)
		if a.code != tt.code || tt.field != "" && (len(p.Errors) == 0 || p.Errors[0].Field != tt.field) {
			t.Errorf("%s: %d %s, want %d and %q", name, a.code, a.body, tt.code, tt.field)
		}
	}
	if list := decode[[]object](t, r.must(t, http.StatusOK, "GET", "/providers", nil)); len(list) != 3 {
		t.Errorf("there are %v", list)
	}
}

// A secret is told once, goes from state to state, and signs tokens in between.
func TestSecrets(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const at = "/providers/default/secrets"
	made := decode[object](t, r.must(t, http.StatusCreated, "POST", at, object{}))
	value, kid := made["value"].(string), made["kid"].(string)
	if len(value) != 64 || made["state"] != "pending" || made["algorithm"] != "HS256" {
		t.Errorf("made %v", made)
	}
	long := strings.Repeat("ab", 64)
	imported := r.must(t, http.StatusCreated, "POST", at, object{"kid": "Mine", "algorithm": "HS512", "value": strings.ToUpper(long)})
	if strings.Contains(strings.ToLower(imported.body), long) {
		t.Errorf("an imported value is told: %s", imported.body)
	}
	if s, err := r.store.Secret(t.Context(), "default", "Mine"); err != nil || s.Value.Hex() != long {
		t.Errorf("imported: %v", err)
	}
	r.must(t, http.StatusConflict, "POST", at, object{"kid": "Mine"})
	for field, body := range map[string]object{
		"kid": {"kid": "a/b"}, "algorithm": {"algorithm": "none"}, "value": {"value": strings.Repeat("ab", 31)},
	} {
		if p := decode[server.Problem](t, r.must(t, http.StatusBadRequest, "POST", at, body)); len(p.Errors) != 1 || p.Errors[0].Field != field {
			t.Errorf("%s: %v", field, p)
		}
	}
	r.clock.pass(time.Second)
	move := func(code int, kid, state string) answer {
		t.Helper()
		return r.must(t, code, "PUT", at+"/"+kid, object{"state": state})
	}
	move(http.StatusConflict, kid, "verify-only")
	if active := decode[object](t, move(http.StatusOK, kid, "active")); active["activated"] != stamp(epoch.Add(time.Second)) {
		t.Errorf("active %v", active)
	}
	move(http.StatusConflict, kid, "verify-only") // the only one
	move(http.StatusOK, "Mine", "active")
	move(http.StatusOK, kid, "verify-only")
	move(http.StatusOK, kid, "revoked")
	move(http.StatusConflict, kid, "active")
	move(http.StatusBadRequest, kid, "gone")
	move(http.StatusNotFound, "mine", "revoked")
	list := r.must(t, http.StatusOK, "GET", at, nil)
	if got := decode[[]object](t, list); len(got) != 2 || strings.Contains(list.body, "value") || strings.Contains(list.body, value) {
		t.Errorf("secrets are %s", list.body)
	}
	if found := secretsIn(logs.String()); len(found) > 0 || strings.Contains(logs.String(), value) || strings.Contains(logs.String(), long) {
		t.Error("a secret is in the log")
	}
	log, _, err := r.store.AuditLog(t.Context(), store.AuditFilter{Target: "default/" + kid}, store.Page{Limit: 10})
	if err != nil || len(log) != 4 || log[3].Action != "secret added" || log[0].Action != "secret revoked" {
		t.Errorf("audit log: %v, %v", log, err)
	}
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const at = "/providers/default/templates"
	if a := r.must(t, http.StatusOK, "GET", at, nil); strings.TrimSpace(a.body) != "[]" {
		t.Errorf("no templates are %q", a.body)
	}
	const loan = `{"profile":{"type":"rental","relativeExpiration":"P14D"}, "lcp":{"print":10}}`
	r.must(t, http.StatusCreated, "PUT", at+"/loan", loan)
	r.must(t, http.StatusOK, "PUT", at+"/loan", "\n"+loan)
	if a := r.must(t, http.StatusOK, "GET", at+"/loan", nil); a.body != loan {
		t.Errorf("template is %s", a.body)
	}
	if names := decode[[]string](t, r.must(t, http.StatusOK, "GET", at, nil)); len(names) != 1 || names[0] != "loan" {
		t.Errorf("names are %v", names)
	}
	for body, field := range map[string]string{
		`{"profile":{"type":"gift"}}`: "profile.type", `{"colour":1}`: "colour", `[]`: "", `"{}"`: "", `{`: "", ``: "",
		`{"textHint":"` + strings.Repeat("x", 17<<10) + `"}`: "",
	} {
		p := decode[server.Problem](t, r.must(t, http.StatusBadRequest, "PUT", at+"/bad", body))
		if field != "" && (len(p.Errors) != 1 || p.Errors[0].Field != field) {
			t.Errorf("%s: %v", body, p)
		}
	}
	r.must(t, http.StatusNotFound, "PUT", at+"/a%20b", loan)
	r.must(t, http.StatusNotFound, "PUT", "/providers/x/templates/loan", loan)
	r.must(t, http.StatusNotFound, "GET", at+"/Loan", nil)
	r.must(t, http.StatusNoContent, "DELETE", at+"/loan", nil)
	r.must(t, http.StatusNotFound, "DELETE", at+"/loan", nil)
}

// A shop can be set up over the API alone, and lends a book by a token at once.
func TestShopOverTheAPI(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.must(t, http.StatusCreated, "POST", "/providers", object{
		"id": "shop", "uri": "https://shop.example.org", "authorization": object{"mode": "token"},
	})
	r.must(t, http.StatusCreated, "POST", "/providers/shop/secrets", object{"kid": "k"})
	r.must(t, http.StatusOK, "PUT", "/providers/shop/secrets/k", object{"state": "active"})
	r.must(t, http.StatusCreated, "PUT", "/providers/shop/templates/loan", object{"profile": object{"type": "rental", "relativeExpiration": "P14D"}})
	pub := r.addPublication(t, object{"provider": "https://shop.example.org"})
	secret, err := r.store.Secret(t.Context(), "shop", "k")
	if err != nil {
		t.Fatal(err)
	}
	token := r.mint(t, secret, delivery.OptData{Merchant: "shop"}, object{
		"assetId": pub, "ref": []string{":loan"}, "user": object{"id": userID}, "passHash": passHash, "textHint": textHint,
	})
	a := r.send(t, call{method: "POST", path: "/gateway/licenses", header: http.Header{"X-Dt-Auth-Token": {token}}})
	doc := decode[license.Document](t, a)
	if a.code != http.StatusCreated || doc.Provider != "https://shop.example.org" || doc.Rights.End == nil || uuid.Validate(doc.ID) != nil {
		t.Errorf("%d %s", a.code, a.body)
	}
}
