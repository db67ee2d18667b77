package server_test

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/lcp-tools/lcp/pkg/server"
)

// unwritten makes requests that must be refused with a problem that names a
// field, and of which nothing may stay.
type unwritten struct {
	*rig
	t      *testing.T
	before string
}

func newUnwritten(t *testing.T, r *rig) *unwritten {
	t.Helper()
	return &unwritten{r, t, r.everything(t)}
}

// everything is all that there is in the database, as far as anyone can see.
func (r *rig) everything(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, path := range []string{"/publications?per_page=1000", "/licenses?per_page=1000"} {
		a := r.must(t, http.StatusOK, "GET", path, nil)
		b.WriteString(a.body)
		if path[1] == 'l' {
			for _, id := range uuidsOf(t, a) {
				b.WriteString(r.mustPublic(t, http.StatusOK, "GET", "/status/"+id).body)
			}
		}
	}
	return b.String()
}

// refuse fails unless a request is refused with a 4xx, and the problem names the
// field: in its list of fields if named, and in its text.
func (u *unwritten) refuse(name string, c call, code int, field string) {
	u.t.Helper()
	if c.role == "" {
		c.role = "admin"
	}
	a := u.send(u.t, c)
	p := decode[server.Problem](u.t, a)
	named := slices.ContainsFunc(p.Errors, func(f server.FieldProblem) bool { return f.Field == field && f.Detail != "" })
	if a.code != code || field != "" && (!named || !strings.Contains(p.Detail, field)) {
		u.t.Errorf("%s: %d %s, want %d and %q named", name, a.code, a.body, code, field)
	}
	if now := u.everything(u.t); now != u.before {
		u.t.Fatalf("%s: something was written", name)
	}
}

// raw is a JSON value as it stands.
type raw string

func (r raw) MarshalJSON() ([]byte, error) { return []byte(r), nil }

func TestLicenseRequestRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pub := r.addPublication(t, object{"alt_id": "voyage"})
	gone := r.addPublication(t, object{"alt_id": "gone"})
	r.must(t, http.StatusOK, "DELETE", "/publications/"+gone, nil)
	u := newUnwritten(t, r)
	for name, tt := range map[string]struct {
		change object
		code   int
		field  string
	}{
		"unknown publication":          {object{"publication_id": uuid.NewString()}, 404, "publication_id"},
		"deleted publication":          {object{"publication_id": gone}, 404, "publication_id"},
		"unknown alt id":               {object{"publication_id": nil, "alt_id": "nope"}, 404, "alt_id"},
		"alt id of a deleted one":      {object{"publication_id": nil, "alt_id": "gone"}, 404, "alt_id"},
		"alt id that is a pattern":     {object{"publication_id": nil, "alt_id": "%"}, 404, "alt_id"},
		"alt id with SQL":              {object{"publication_id": nil, "alt_id": "voyage' OR '1'='1"}, 404, "alt_id"},
		"publication that is no uuid":  {object{"publication_id": "1; DROP TABLE licenses"}, 404, "publication_id"},
		"publication and alt id":       {object{"alt_id": "voyage"}, 400, "alt_id"},
		"no publication":               {object{"publication_id": nil}, 400, "publication_id"},
		"empty publication":            {object{"publication_id": ""}, 400, "publication_id"},
		"no user":                      {object{"user_id": nil}, 400, "user_id"},
		"empty user":                   {object{"user_id": ""}, 400, "user_id"},
		"long user":                    {object{"user_id": strings.Repeat("u", 256)}, 400, "user_id"},
		"user with NUL":                {object{"user_id": "a\x00b"}, 400, "user_id"},
		"no text hint":                 {object{"text_hint": nil}, 400, "text_hint"},
		"no pass hash":                 {object{"pass_hash": nil}, 400, "pass_hash"},
		"short pass hash":              {object{"pass_hash": passHash[:62]}, 400, "pass_hash"},
		"long pass hash":               {object{"pass_hash": passHash + "00"}, 400, "pass_hash"},
		"pass hash that is not hex":    {object{"pass_hash": "g" + passHash[1:]}, 400, "pass_hash"},
		"pass hash that is a number":   {object{"pass_hash": 1}, 400, "pass_hash"},
		"clear passphrase":             {object{"passphrase": "x"}, 400, "passphrase"},
		"unknown field":                {object{"colour": "red"}, 400, "colour"},
		"user_encrypted, unknown name": {object{"user_encrypted": []string{"name", "shoe"}}, 400, "user_encrypted"},
		"user_encrypted, absent field": {object{"user_email": nil}, 400, "user_encrypted"},
		"user_encrypted, itself":       {object{"user_encrypted": []string{"encrypted"}}, 400, "user_encrypted"},
		"user_encrypted, twice":        {object{"user_encrypted": []string{"name", "name"}}, 400, "user_encrypted"},
		"user_encrypted, a string":     {object{"user_encrypted": "name"}, 400, "user_encrypted"},
		"end before start":             {object{"end": stamp(epoch.AddDate(0, 0, -1))}, 400, "end"},
		"end without a time":           {object{"end": "2030-06-01"}, 400, "end"},
		"start that is a number":       {object{"start": 1}, 400, "start"},
		"end that is empty":            {object{"end": ""}, 400, "end"},
		"end in no year":               {object{"end": "20300-01-01T00:00:00Z"}, 400, "end"},
		"negative copy":                {object{"copy": -2}, 400, "copy"},
		"negative print":               {object{"print": -2}, 400, "print"},
		"half a page":                  {object{"print": 1.5}, 400, "print"},
		"copy in quotes":               {object{"copy": "100"}, 400, "copy"},
		"copy beyond all numbers":      {object{"copy": raw("1" + strings.Repeat("0", 40))}, 400, "copy"},
		"no profile there is":          {object{"profile": "http://readium.org/lcp/profile-9.9"}, 400, "profile"},
		"profile without a helper":     {object{"profile": "http://readium.org/lcp/profile-1.0"}, 400, "profile"},
		"profile that is no string":    {object{"profile": []int{1}}, 400, "profile"},
		"name that is an object":       {object{"user_name": object{"first": "A"}}, 400, "user_name"},
		"name that is no UTF-8":        {object{"user_name": raw("\"a\xff\"")}, 400, "user_name"},
		"user that is no UTF-8":        {object{"user_id": raw("\"\xc3\x28\"")}, 400, "user_id"},
		"name of half a surrogate":     {object{"user_name": raw(`"\ud800"`)}, 400, "user_name"},
	} {
		request := with(licenseRequest(pub), tt.change)
		u.refuse(name, call{method: "POST", path: "/licenses", body: text(request)}, tt.code, tt.field)
	}
	// Every fault is told at once.
	a := r.do(t, "POST", "/licenses", with(licenseRequest(pub), object{"copy": -2, "pass_hash": "x", "end": stamp(epoch.AddDate(-1, 0, 0)), "user_id": nil}))
	for _, field := range []string{"copy", "pass_hash", "end", "user_id"} {
		if !strings.Contains(a.body, `"field":"`+field+`"`) {
			t.Errorf("%s is not named: %s", field, a.body)
		}
	}
}

// text writes an object as JSON, even where that would not be valid.
func text(o object) string {
	var b strings.Builder
	sep := "{"
	for name, value := range o {
		b.WriteString(sep + fmt.Sprintf("%q:", name))
		if r, ok := value.(raw); ok {
			b.WriteString(string(r))
		} else {
			b.Write(mustMarshal(value))
		}
		sep = ","
	}
	return b.String() + "}"
}

func TestFreshRequestRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.loan(t)
	u := newUnwritten(t, r)
	for name, tt := range map[string]struct {
		path   string
		change object
		code   int
		field  string
	}{
		"unknown license":     {uuid.NewString(), nil, 404, ""},
		"no uuid":             {"1", nil, 404, ""},
		"another user":        {id, object{"user_id": "somebody"}, 400, "user_id"},
		"no hint":             {id, object{"text_hint": nil}, 400, "text_hint"},
		"no pass hash":        {id, object{"pass_hash": nil}, 400, "pass_hash"},
		"unsupported profile": {id, object{"profile": "http://readium.org/lcp/profile-2.3"}, 400, "profile"},
		"unknown field":       {id, object{"x": 1}, 400, "x"},
	} {
		u.refuse(name, call{method: "POST", path: "/licenses/" + tt.path, body: with(freshRequest(), tt.change)}, tt.code, tt.field)
	}
}

func TestPublicationRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.addPublication(t)
	u := newUnwritten(t, r)
	changes := map[string]struct {
		change object
		field  string
	}{
		"no uuid it can have": {object{"uuid": "urn:uuid:" + uuid.NewString()}, "uuid"},
		"short key":           {object{"encryption_key": "AAAA"}, "encryption_key"},
		"key of zeros":        {object{"encryption_key": strings.Repeat("A", 43) + "="}, "encryption_key"},
		"key not base64":      {object{"encryption_key": "!"}, "encryption_key"},
		"no title":            {object{"title": nil}, "title"},
		"blank title":         {object{"title": " "}, "title"},
		"no type":             {object{"content_type": nil}, "content_type"},
		"no href":             {object{"href": nil}, "href"},
		"relative href":       {object{"href": "/book.epub"}, "href"},
		"file href":           {object{"href": "file:///etc/passwd"}, "href"},
		"script href":         {object{"href": "javascript:alert(1)"}, "href"},
		"cover, no URL":       {object{"cover_url": "cover.jpg"}, "cover_url"},
		"provider, no URI":    {object{"provider": "ACME"}, "provider"},
		"no size":             {object{"size": nil}, "size"},
		"negative size":       {object{"size": -1}, "size"},
		"size in quotes":      {object{"size": "12"}, "size"},
		"no checksum":         {object{"checksum": nil}, "checksum"},
		"short checksum":      {object{"checksum": "ab"}, "checksum"},
		"checksum not hex":    {object{"checksum": strings.Repeat("z", 64)}, "checksum"},
		"long alt id":         {object{"alt_id": strings.Repeat("a", 256)}, "alt_id"},
		"alt id with NUL":     {object{"alt_id": "a\x00"}, "alt_id"},
		"unknown field":       {object{"isbn": "1"}, "isbn"},
		"title, no UTF-8":     {object{"title": raw("\"\xff\"")}, "title"},
	}
	for name, tt := range changes {
		u.refuse("POST, "+name, call{method: "POST", path: "/publications", body: text(with(publication(uuid.NewString()), tt.change))}, 400, tt.field)
		u.refuse("PUT, "+name, call{method: "PUT", path: "/publications/" + id, body: text(with(publication(id), tt.change))}, 400, tt.field)
	}
	u.refuse("POST, no uuid", call{method: "POST", path: "/publications", body: with(publication(id), object{"uuid": nil})}, 400, "uuid")
	u.refuse("POST, no key", call{method: "POST", path: "/publications", body: with(publication(uuid.NewString()), object{"encryption_key": nil})}, 400, "encryption_key")
	u.refuse("PUT, another uuid", call{method: "PUT", path: "/publications/" + id, body: publication(uuid.NewString())}, 400, "uuid")
}

func TestLicenseInfoRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pub := r.addPublication(t)
	gone := r.addPublication(t)
	id := r.addLicense(t, pub)
	r.must(t, http.StatusOK, "DELETE", "/publications/"+gone, nil)
	u := newUnwritten(t, r)
	for name, tt := range map[string]struct {
		change object
		field  string
	}{
		"another form of uuid": {object{"uuid": strings.ReplaceAll(uuid.NewString(), "-", "")}, "uuid"},
		"unknown publication":  {object{"publication_id": uuid.NewString()}, "publication_id"},
		"deleted publication":  {object{"publication_id": gone}, "publication_id"},
		"publication, no uuid": {object{"publication_id": "x"}, "publication_id"},
		"no publication":       {object{"publication_id": nil}, "publication_id"},
		"no user":              {object{"user_id": nil}, "user_id"},
		"long user":            {object{"user_id": strings.Repeat("u", 256)}, "user_id"},
		"provider, no URI":     {object{"provider": "ACME"}, "provider"},
		"negative copy":        {object{"copy": -5}, "copy"},
		"negative print":       {object{"print": -5}, "print"},
		"end before start":     {object{"end": stamp(epoch.AddDate(0, 0, -9))}, "end"},
		"max end before end":   {object{"max_end": stamp(epoch)}, "max_end"},
		"unknown field":        {object{"device": 1}, "device"},
		"a date, no date":      {object{"max_end": "soon"}, "max_end"},
		"end in year 10000":    {object{"end": "9999-12-31T23:59:59-02:00"}, "end"},
		"start before year 0":  {object{"start": "0000-01-01T00:00:00+02:00"}, "start"},
	} {
		u.refuse("POST, "+name, call{method: "POST", path: "/licenseinfo", body: with(licenseRecord(uuid.NewString(), pub), tt.change)}, 400, tt.field)
		u.refuse("PUT, "+name, call{method: "PUT", path: "/licenseinfo/" + id, body: with(licenseRecord(id, pub), tt.change)}, 400, tt.field)
	}
	u.refuse("PUT, no such status", call{method: "PUT", path: "/licenseinfo/" + id, body: with(licenseRecord(id, pub), object{"status": "lost"})}, 400, "status")
	u.refuse("PUT, no status", call{method: "PUT", path: "/licenseinfo/" + id, body: with(licenseRecord(id, pub), object{"status": nil})}, 400, "status")
	u.refuse("PUT, another uuid", call{method: "PUT", path: "/licenseinfo/" + id, body: licenseRecord(uuid.NewString(), pub)}, 400, "uuid")
}

func TestQueryRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.loan(t)
	r.register(t, id, deviceID)
	u := newUnwritten(t, r)
	for path, field := range map[string]string{
		"/publications?page=0":                           "page",
		"/publications?page=-1":                          "page",
		"/publications?page=x":                           "page",
		"/publications?page=99999999999999999999":        "page",
		"/publications?per_page=0":                       "per_page",
		"/publications?per_page=1.5":                     "per_page",
		"/publications?per_page=1001":                    "per_page",
		"/licenses?per_page=1000000000":                  "per_page",
		"/licenses?per_page=99999999999999999999999":     "per_page",
		"/licenses/search?user=a&per_page=-2":            "per_page",
		"/publications/search":                           "format",
		"/publications/search?format=":                   "format",
		"/publications/search?format=mobi":               "format",
		"/publications/search?format=epub'--":            "format",
		"/licenses/search?status=lost":                   "status",
		"/licenses/search?count=3":                       "count",
		"/licenses/search?count=3:x":                     "count",
		"/licenses/search?count=-1:3":                    "count",
		"/licenses/search?count=5:3":                     "count",
		"/licenses/search?count=1:2:3":                   "count",
		"/licenses/search?count=1:99999999999999999999":  "count",
		"/licenses/search?month=2030":                    "month",
		"/licenses/search?month=2030-13":                 "month",
		"/licenses/search?date=2030-02-30":               "date",
		"/licenses/search?date=2030-02-03&month=2030-02": "date",
		"/licenses/search?user=%ff":                      "user",
		"/licenses/search?device=a%00":                   "device",
		"/licenses/search?user=%zz":                      "query",
		"/licenses/search?user=a;status=ready":           "query",
	} {
		u.refuse("GET "+path, call{method: "GET", path: path}, 400, field)
	}
	for query, field := range map[string]string{
		"end=tomorrow": "end", "end=2030-13-01T00:00:00Z": "end", "end=2030-06-01T00:00:00": "end", "end=%ff": "end", "id=%ff": "id",
		"name=" + strings.Repeat("x", 256): "name", "end=%zz": "query",
	} {
		u.refuse("renew?"+query, call{method: "PUT", path: "/renew/" + id + "?" + query}, 400, field)
	}
}

// What is wrong before anything is understood of it.
func TestBodyRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pub := r.addPublication(t)
	id := r.addLicense(t, pub)
	u := newUnwritten(t, r)
	valid := text(licenseRequest(pub))
	routes := []call{
		{method: "POST", path: "/licenses"},
		{method: "POST", path: "/licenses/" + id},
		{method: "POST", path: "/licenseinfo"},
		{method: "PUT", path: "/licenseinfo/" + id},
		{method: "POST", path: "/publications"},
		{method: "PUT", path: "/publications/" + pub},
		{method: "POST", path: "/dashdata/login"},
	}
	for _, c := range routes {
		for name, tt := range map[string]struct {
			body   string
			header http.Header
			code   int
		}{
			"nothing":           {"", nil, 400},
			"not JSON":          {"uuid=1", nil, 400},
			"half of it":        {valid[:len(valid)/2], nil, 400},
			"two of them":       {valid + valid, nil, 400},
			"more after it":     {"{}x", nil, 400},
			"an array":          {"[]", nil, 400},
			"a string":          {`"x"`, nil, 400},
			"null":              {"null", nil, 400},
			"deep nesting":      {strings.Repeat("[", 20000), nil, 400},
			"a NUL":             {"{}\x00", nil, 400},
			"UTF-16":            {"\xff\xfe{\x00}\x00", nil, 400},
			"too much":          {`{"title":"` + strings.Repeat("x", 1<<20) + `"}`, nil, 413},
			"too much space":    {strings.Repeat(" ", 1<<20+1) + valid, nil, 413},
			"XML":               {"<license/>", http.Header{"Content-Type": {"application/xml"}}, 415},
			"text":              {valid, http.Header{"Content-Type": {"text/plain"}}, 415},
			"multipart":         {valid, http.Header{"Content-Type": {"multipart/form-data; boundary=x"}}, 415},
			"no type there is":  {valid, http.Header{"Content-Type": {"nonsense/;;"}}, 415},
			"a compressed body": {valid, http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}, 415},
		} {
			c.body, c.header = tt.body, tt.header
			u.refuse(c.method+" "+c.path+", "+name, c, tt.code, "")
		}
	}
	// Some clients say nothing of their type, or what curl says by itself.
	for _, mediaType := range []string{"", "application/json; charset=utf-8", "application/x-www-form-urlencoded", "application/vnd.api+json"} {
		h := http.Header{"Content-Type": {mediaType}}
		if mediaType == "" {
			h = http.Header{"Content-Type": nil}
		}
		if a := r.send(t, call{method: "POST", path: "/licenses", body: valid, role: "admin", header: h}); a.code != http.StatusCreated {
			t.Errorf("%q: %d %s", mediaType, a.code, a.body)
		}
	}
}

// Names are taken at their word, and the first of several does not silently
// give way to the last.
func TestAmbiguousFieldsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pub := r.addPublication(t)
	u := newUnwritten(t, r)
	valid := strings.TrimSuffix(text(licenseRequest(pub)), "}")
	for name, tt := range map[string]struct{ more, field string }{
		"a field twice":       {`,"copy":1}`, "copy"},
		"a field in capitals": {`,"Copy":1}`, "Copy"},
	} {
		u.refuse(name, call{method: "POST", path: "/licenses", body: valid + tt.more}, 400, tt.field)
	}
}

func TestHeaderTricks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	u := newUnwritten(t, r)
	for name, c := range map[string]struct {
		call
		code int
	}{
		"another method by header": {call{method: "POST", path: "/publications/" + uuid.NewString(), header: http.Header{"X-Http-Method-Override": {"DELETE"}}}, 405},
		"a path by header":         {call{method: "GET", path: "/nothing", header: http.Header{"X-Original-Url": {"/licenses"}, "X-Rewrite-Url": {"/licenses"}}}, 404},
		"a long idempotency key":   {call{method: "POST", path: "/publications", body: "{}", header: http.Header{"Idempotency-Key": {strings.Repeat("k", 256)}}}, 400},
	} {
		u.refuse(name, c.call, c.code, "")
	}
	for _, id := range []string{strings.Repeat("a", 65), "a b", "a\"b", "é"} {
		a := r.send(t, call{method: "GET", path: "/health", header: http.Header{"X-Request-Id": {id}}})
		if got := a.header.Get("X-Request-Id"); got == id || len(got) != 16 {
			t.Errorf("the request id %q was answered with %q", id, got)
		}
	}
	a := r.send(t, call{method: "GET", path: "/health", header: http.Header{"X-Request-Id": {"Abc-1_2"}}})
	if got := a.header.Get("X-Request-Id"); got != "Abc-1_2" {
		t.Errorf("the request id is %q", got)
	}
	if bytes.Contains([]byte(logs.String()), []byte(`a"b`)) {
		t.Error("a request id got into the log as it was sent")
	}
}
