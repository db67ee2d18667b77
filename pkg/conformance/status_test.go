package conformance_test

import (
	"slices"
	"testing"

	"github.com/lcp-tools/lcp/pkg/conformance"
)

// lent is the status document of a loan.
const lent = `{
	"id": "` + licenseID + `", "status": "active", "message": "The license is active",
	"updated": {"license": "2026-06-01T11:00:00Z", "status": "2026-06-01T11:30:00.123Z"},
	"links": [
		{"rel": "license", "href": "https://lcp.example.org/licenses/1", "type": "application/vnd.readium.lcp.license.v1.0+json"},
		{"rel": "register", "href": "https://lcp.example.org/register/1{?id,name}", "type": "application/vnd.readium.license.status.v1.0+json", "templated": true},
		{"rel": "return", "href": "https://lcp.example.org/return/1{?id,name}", "type": "application/vnd.readium.license.status.v1.0+json", "templated": true},
		{"rel": "renew", "href": "https://lcp.example.org/renew/1{?end,id,name}", "type": "application/vnd.readium.license.status.v1.0+json", "templated": true}],
	"potential_rights": {"end": "2026-07-01T00:00:00Z"},
	"events": [
		{"type": "register", "name": "Phone", "id": "d1", "timestamp": "2026-06-01T11:10:00Z"},
		{"type": "renew", "name": "Phone", "id": "d1", "timestamp": "2026-06-01T11:30:00.123Z"}]}`

func event(o object, i int) object { return o["events"].([]any)[i].(object) }

// without takes links away.
func without(o object, rels ...string) {
	o["links"] = slices.DeleteFunc(o["links"].([]any), func(l any) bool { return slices.Contains(rels, l.(object)["rel"].(string)) })
}

func TestStatus(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		edit func(object)
		want []string
	}{
		"as it should be":           {func(object) {}, nil},
		"nothing but what must be":  {func(o object) { delete(o, "events"); delete(o, "potential_rights") }, nil},
		"unknown members":           {func(o object) { o["x"] = 1 }, nil},
		"no id":                     {func(o object) { delete(o, "id") }, []string{"error status-member id"}},
		"id no text":                {func(o object) { o["id"] = 1 }, []string{"error status-member id"}},
		"empty id":                  {func(o object) { o["id"] = "" }, []string{"error status-member id"}},
		"no status":                 {func(o object) { delete(o, "status") }, []string{"error status-member status"}},
		"status of another name":    {func(o object) { o["status"] = "Active" }, []string{"error status-state status"}},
		"no message":                {func(o object) { delete(o, "message") }, []string{"error status-member message"}},
		"empty message":             {func(o object) { o["message"] = "" }, []string{"warning status-message message"}},
		"no dates":                  {func(o object) { delete(o, "updated") }, []string{"error status-member updated.license", "error status-member updated.status"}},
		"date that is none":         {func(o object) { at(o, "updated")["license"] = "2026-06-01 11:00" }, []string{"error status-date updated.license"}},
		"date elsewhere":            {func(o object) { at(o, "updated")["status"] = "2026-06-01T11:00:00+00:00" }, []string{"warning date-utc updated.status"}},
		"date too precise":          {func(o object) { at(o, "updated")["license"] = "2026-06-01T11:00:00.123456789Z" }, []string{"warning date-precision updated.license"}},
		"links that are none":       {func(o object) { o["links"] = object{} }, []string{"error status-member links", "error status-license-link links", "info status-register links"}},
		"no license link":           {func(o object) { without(o, "license") }, []string{"error status-license-link links"}},
		"license link templated":    {func(o object) { linkOf(o, 0)["href"] = "https://x.example/{id}"; linkOf(o, 0)["templated"] = true }, []string{"error fresh-link-templated links[0].templated"}},
		"license of another type":   {func(o object) { linkOf(o, 0)["type"] = "application/json" }, []string{"warning fresh-link-type links[0].type"}},
		"license over http":         {func(o object) { linkOf(o, 0)["href"] = "http://x.example/1" }, []string{"warning fresh-link-insecure links[0].href"}},
		"license by another scheme": {func(o object) { linkOf(o, 0)["href"] = "urn:uuid:1" }, []string{"error fresh-link-url links[0].href"}},
		"link without href":         {func(o object) { delete(linkOf(o, 0), "href") }, []string{"error status-member links[0].href"}},
		"link without relation":     {func(o object) { delete(linkOf(o, 1), "rel") }, []string{"error status-member links[1].rel", "info status-register links"}},
		"unknown relation":          {func(o object) { linkOf(o, 1)["rel"] = "enrol" }, []string{"error link-rel links[1].rel", "info status-register links"}},
		"two relations":             {func(o object) { linkOf(o, 0)["rel"] = []string{"license", "self"} }, nil},
		"register not templated":    {func(o object) { delete(linkOf(o, 1), "templated") }, []string{"error link-templated links[1].href", "error register-link links[1].templated"}},
		"register without name":     {func(o object) { linkOf(o, 1)["href"] = "https://lcp.example.org/register/1{?id}" }, []string{"error register-link links[1].templated"}},
		"register with more":        {func(o object) { linkOf(o, 1)["href"] = "https://lcp.example.org/register?l=1{&id,name,x}" }, nil},
		"no register":               {func(o object) { without(o, "register") }, []string{"info status-register links"}},
		"return without parameters": {func(o object) { linkOf(o, 2)["href"] = "https://lcp.example.org/return/1{?x}" }, []string{"error return-link links[2].templated"}},
		"register of another type":  {func(o object) { linkOf(o, 1)["type"] = "text/html" }, []string{"warning register-link-type links[1].type"}},
		"return of another type":    {func(o object) { linkOf(o, 2)["type"] = "text/html" }, []string{"warning return-link-type links[2].type"}},
		"renew without end":         {func(o object) { linkOf(o, 3)["href"] = "https://lcp.example.org/renew/1{?id,name}" }, []string{"error renew-link links[3].templated"}},
		"renew page": {func(o object) {
			linkOf(o, 3)["href"], linkOf(o, 3)["type"], linkOf(o, 3)["templated"] = "https://lcp.example.org/renew/1", "text/html; charset=utf-8", false
		}, nil},
		"renew page templated": {func(o object) { linkOf(o, 3)["type"] = "text/html" }, []string{"error renew-page links[3].templated"}},
		"renew of another type": {
			func(o object) { linkOf(o, 3)["type"] = "application/json" },
			[]string{"warning renew-link-type links[3].type"},
		},
		"revoked, and can be renewed": {func(o object) { o["status"] = "revoked"; without(o, "register", "return") }, []string{"warning status-over links"}},
		"revoked":                     {func(o object) { o["status"] = "revoked"; without(o, "register", "return", "renew") }, nil},
		"expired, and can be renewed": {func(o object) { o["status"] = "expired"; without(o, "register", "return") }, nil},
		"expired, and registers":      {func(o object) { o["status"] = "expired" }, []string{"warning status-over links"}},
		"potential end that is none":  {func(o object) { at(o, "potential_rights")["end"] = 5 }, []string{"error status-member potential_rights.end"}},
		"events that are none":        {func(o object) { o["events"] = "x" }, []string{"error status-events events"}},
		"unknown event":               {func(o object) { event(o, 0)["type"] = "open" }, []string{"error status-event events[0].type"}},
		"event without date":          {func(o object) { delete(event(o, 1), "timestamp") }, []string{"error status-member events[1].timestamp"}},
		"newest event first":          {func(o object) { slices.Reverse(o["events"].([]any)) }, nil},
		"events in no order": {func(o object) {
			o["events"] = append(o["events"].([]any), object{"type": "revoke", "timestamp": "2026-06-01T11:20:00Z"})
		}, []string{"warning status-events events"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, found := conformance.Status(edited(t, []byte(lent), tt.edit))
			compare(t, found, tt.want)
		})
	}
	for name, text := range map[string]string{"nothing": "", "a list": "[]", "cut": lent[:100], "two ids": `{"id":"1","id":"2"}`, "not UTF-8": "{\"id\":\"\xff\"}"} {
		doc, found := conformance.Status([]byte(text))
		if doc != nil {
			t.Errorf("%s: something could be read: %+v", name, doc)
		}
		compare(t, found, []string{"error status-json"})
	}
}

func FuzzStatus(f *testing.F) {
	f.Add([]byte(lent))
	f.Add([]byte(`{"status":"x","links":[{"rel":["license"],"href":"{"},5],"events":[1,{"timestamp":"2026-01-01T00:00:00.5Z"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, found := conformance.Status(data)
		broken := slices.ContainsFunc(found, func(f conformance.Finding) bool { return f.Severity == conformance.Error })
		if !broken && (doc == nil || doc.ID == "" || doc.State == "" || len(doc.Links) == 0) {
			t.Errorf("no error was found in %q: %+v", data, doc)
		}
	})
}
