package conformance_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/lcp-tools/lcp/pkg/certificate"
	"github.com/lcp-tools/lcp/pkg/conformance"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/testdata"
)

const (
	licenseType = "application/vnd.readium.lcp.license.v1.0+json"
	statusType  = "application/vnd.readium.license.status.v1.0+json"
	epubType    = "application/epub+zip"
)

// A page is what a shop answers to a path.
type page struct {
	code        int
	contentType string
	data        []byte
}

// A shop serves a license, what it links to, and what a test changes of that.
type shop struct {
	*httptest.Server
	license []byte
	pages   map[string]page
}

const (
	atStatus      = "/status/" + licenseID
	atFresh       = "/licenses/1"
	atHint        = "/hint"
	atPublication = "/moby-dick.epub"
)

// newShop opens a shop where all is as it should be.
func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{pages: map[string]page{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, ok := s.pages[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", p.contentType)
		w.WriteHeader(p.code)
		_, _ = w.Write(p.data)
	}))
	t.Cleanup(s.Close)
	book := pack(t, protectedSample(t, epubSample))
	sum := sha256.Sum256(book)
	r := request()
	r.Publication.Href, r.Publication.Size, r.Publication.Checksum = s.URL+atPublication, int64(len(book)), hex.EncodeToString(sum[:])
	s.license = issueAt(t, s.URL, certificate.RSA2048, r)
	s.pages[atStatus] = page{200, statusType, bytes.ReplaceAll([]byte(lent), []byte("https://lcp.example.org"), []byte(s.URL))}
	s.pages[atFresh] = page{200, licenseType + "; charset=utf-8", s.license}
	s.pages[atHint] = page{200, "text/html; charset=utf-8", []byte("<html>")}
	s.pages[atPublication] = page{200, epubType, book}
	return s
}

// editStatus changes the status document.
func (s *shop) editStatus(t *testing.T, edit func(object)) {
	p := s.pages[atStatus]
	p.data = edited(t, p.data, edit)
	s.pages[atStatus] = p
}

// resign changes the fresh license.
func (s *shop) resign(t *testing.T, edit func(object)) {
	p := s.pages[atFresh]
	p.data = resigned(t, p.data, edit)
	s.pages[atFresh] = p
}

func (s *shop) answer(path string, code int, contentType string, data []byte) {
	s.pages[path] = page{code, contentType, data}
}

// online is checker, with links followed.
func online() *conformance.Checker {
	c := checker(hashOf(passphrase))
	c.HTTP = &http.Client{}
	return c
}

var ofShops = append(slices.Clone(ofTests), "info publication-link-local links[0].href", "info status-link-local links[1].href", opened)

// A license is checked with all that it leads to.
func TestLinksAreFollowed(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(t *testing.T, s *shop)
		want   []string // besides ofShops
	}{
		"all as it should be": {func(*testing.T, *shop) {}, nil},
		"no status document": {
			func(_ *testing.T, s *shop) { delete(s.pages, atStatus) },
			[]string{"error status-fetch *"},
		},
		"status behind a password": {
			func(_ *testing.T, s *shop) { s.answer(atStatus, 401, "text/plain", nil) },
			[]string{"error status-fetch *"},
		},
		"status of another type": {
			func(_ *testing.T, s *shop) { s.answer(atStatus, 200, "application/json", s.pages[atStatus].data) },
			[]string{"error status-fetch-type *"},
		},
		"status too long": {func(_ *testing.T, s *shop) {
			s.answer(atStatus, 200, statusType, make([]byte, license.MaxSize+1))
		}, []string{"error status-fetch *"}},
		"status that is none": {
			func(_ *testing.T, s *shop) { s.answer(atStatus, 200, statusType, []byte("x")) },
			[]string{"error status-json"},
		},
		"status of another license": {
			func(t *testing.T, s *shop) { s.editStatus(t, func(o object) { o["id"] = "2" }) },
			[]string{"error status-id id"},
		},
		"license that was updated": {func(t *testing.T, s *shop) {
			s.editStatus(t, func(o object) { at(o, "updated")["license"] = "2026-06-01T11:30:00Z" })
			s.resign(t, func(o object) { o["updated"] = "2026-06-01T11:30:00Z" })
		}, []string{"info status-newer updated.license"}},
		"license that stays outdated": {func(t *testing.T, s *shop) {
			s.editStatus(t, func(o object) { at(o, "updated")["license"] = "2026-06-01T11:30:00Z" })
		}, []string{"info status-newer updated.license", "error status-always-newer updated.license"}},
		"status that is outdated": {func(t *testing.T, s *shop) {
			s.editStatus(t, func(o object) { at(o, "updated")["license"] = "2026-05-01T11:30:00Z" })
		}, []string{"error status-older updated.license"}},
		"returned, and not ended": {func(t *testing.T, s *shop) {
			s.editStatus(t, func(o object) { o["status"] = "returned"; without(o, "register", "return", "renew") })
		}, []string{"error status-ended status"}},
		"returned, and ended": {func(t *testing.T, s *shop) {
			s.editStatus(t, func(o object) {
				o["status"] = "returned"
				without(o, "register", "return", "renew")
				at(o, "updated")["license"] = "2026-06-01T11:40:00Z"
			})
			s.resign(t, func(o object) { o["updated"], at(o, "rights")["end"] = "2026-06-01T11:40:00Z", "2026-06-01T11:40:00Z" })
		}, []string{"info status-newer updated.license", "info rights-ended rights.end"}},
		"active, and ended": {func(t *testing.T, s *shop) {
			s.resign(t, func(o object) { at(o, "rights")["end"] = "2026-06-01T11:40:00Z" })
		}, []string{"info rights-ended rights.end", "warning status-expired status"}},
		"expired, and not ended": {func(t *testing.T, s *shop) {
			s.editStatus(t, func(o object) { o["status"] = "expired"; without(o, "register", "return") })
		}, []string{"warning status-expired status"}},
		"bought, and returned": {
			func(t *testing.T, s *shop) { s.resign(t, func(o object) { delete(at(o, "rights"), "end") }) },
			[]string{"warning status-loan links"},
		},
		"renewal that shortens": {func(t *testing.T, s *shop) {
			s.editStatus(t, func(o object) { at(o, "potential_rights")["end"] = "2026-06-02T00:00:00Z" })
		}, []string{"warning status-potential-end potential_rights.end"}},
		"fresh license refused": {
			func(_ *testing.T, s *shop) { s.answer(atFresh, 403, "application/problem+json", nil) },
			[]string{"warning fresh-fetch *"},
		},
		"no fresh license": {
			func(_ *testing.T, s *shop) { delete(s.pages, atFresh) },
			[]string{"error fresh-fetch *"},
		},
		"fresh license of another type": {
			func(_ *testing.T, s *shop) { s.answer(atFresh, 200, "text/plain", s.license) },
			[]string{"error fresh-fetch-type *"},
		},
		"fresh license with a fault": {
			func(t *testing.T, s *shop) { s.resign(t, func(o object) { o["provider"] = "x" }) },
			[]string{"error license-provider provider"},
		},
		"fresh license for another passphrase": {func(t *testing.T, s *shop) {
			s.resign(t, func(o object) {
				at(o, "encryption", "user_key")["key_check"] = base64.StdEncoding.EncodeToString(lcpcrypto.Encrypt(lcpcrypto.UserKey{}, []byte(licenseID)))
			})
		}, []string{"error passphrase encryption.user_key.key_check"}},
		"no hint page": {func(_ *testing.T, s *shop) { delete(s.pages, atHint) }, []string{"error hint *"}},
		"hint of another type": {
			func(_ *testing.T, s *shop) { s.answer(atHint, 200, "text/plain", nil) },
			[]string{"warning hint-type *"},
		},
		"no publication": {
			func(_ *testing.T, s *shop) { delete(s.pages, atPublication) },
			[]string{"error publication-fetch *", "-" + opened},
		},
		"publication of another type": {func(_ *testing.T, s *shop) {
			s.answer(atPublication, 200, "application/octet-stream", s.pages[atPublication].data)
		}, []string{"warning publication-fetch-type *"}},
		"publication of another length": {
			func(_ *testing.T, s *shop) { s.answer(atPublication, 200, epubType, []byte("x")) },
			[]string{"error publication-length *", "-" + opened},
		},
		"publication of another hash": {func(_ *testing.T, s *shop) {
			data := bytes.Clone(s.pages[atPublication].data)
			data[len(data)-1] = 1 // in the comment's length
			s.answer(atPublication, 200, epubType, data)
		}, []string{"error publication-hash *", "error package *", "-" + opened}},
		"publication under another key": {func(t *testing.T, s *shop) {
			entries := protectedSample(t, epubSample)
			page := find(t, entries, "jabberwocky.xhtml")
			page.data = bytes.Clone(page.data)
			page.data[20] ^= 1
			s.answer(atPublication, 200, epubType, pack(t, entries))
		}, []string{"error publication-hash *", "error entry-decrypt *"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			tt.change(t, s)
			report := online().Check(t.Context(), writeFile(t, "book.lcpl", s.license))
			for i := range report.Findings {
				if report.Findings[i].Rule == "package" {
					report.Findings[i].Place = "x" // the archive is at fault, not an entry
				}
			}
			compareBlurred(t, report.Findings, append(slices.Clone(ofShops), tt.want...))
		})
	}
}

// Of several links to fresh licenses apps follow that of a profile they know.
func TestFreshLicenseOfTheProfile(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.editStatus(t, func(o object) {
		other := object{"rel": "license", "href": s.URL + "/other", "type": licenseType, "profile": "http://readium.org/lcp/profile-1.0"}
		linkOf(o, 0)["profile"] = "http://readium.org/lcp/basic-profile"
		o["links"] = append([]any{other}, o["links"].([]any)...)
	})
	report := online().Check(t.Context(), writeFile(t, "book.lcpl", s.license))
	compare(t, report.Findings, ofShops)
}

// What is longer than is downloaded is not begun.
func TestLongPublication(t *testing.T) {
	t.Parallel()
	const length = 3 << 30
	s := newShop(t)
	s.resign(t, func(o object) { linkOf(o, 0)["length"] = length })
	shop := s.Config.Handler
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != atPublication {
			shop.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", epubType)
		w.Header().Set("Content-Length", strconv.Itoa(length))
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
	})
	report := online().Check(t.Context(), s.URL+atFresh)
	compareBlurred(t, report.Findings, append(slices.Clone(ofShops), "-"+opened, "info publication-fetch *"))
}

// Publications of other tools, from the corpus, with what is wrong with them.
func TestCorpus(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("LCP_CORPUS")
	if dir == "" {
		t.Skip("LCP_CORPUS does not name a folder of publications")
	}
	for name, want := range map[string][]string{
		"already-lcp.epub": {
			"error license-provider provider",
			"info license-test-profile encryption.profile",
			"info package-decrypted",
			"info signature-root signature.certificate",
			"warning date-precision issued",
			"warning entry-stored EPUB/fonts.css",
			"warning entry-stored EPUB/wasteland-content.xhtml",
			"warning entry-stored EPUB/wasteland-night.css",
			"warning entry-stored EPUB/wasteland.css",
			"warning license-unknown-member encryption.user_key",
			"warning link-type links[0].type",
		},
		"already-lcp.lcpa": {
			"error package-missing audio/Latin.mp3",
			"error package-missing audio/oboe-bassoon.mp3",
			"info license-test-profile encryption.profile",
			"info package-contents",
			"info package-contents",
			"info package-decrypted",
			"info signature-root signature.certificate",
			"warning link-type links[2].type",
		},
	} {
		c := &conformance.Checker{Now: func() time.Time { return now }}
		report := c.Check(t.Context(), filepath.Join(dir, "broken", name))
		compare(t, report.Findings, want)
	}
}

// What cannot be reached is told, and nothing else waits for it.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.Close()
	report := online().Check(t.Context(), writeFile(t, "book.lcpl", s.license))
	compareBlurred(t, report.Findings, append(slices.Clone(ofTests), "info publication-link-local links[0].href", "info status-link-local links[1].href",
		"error status-fetch *", "error hint *", "error publication-fetch *"))
}

// Targets can be at URLs, each kind of them.
func TestAddresses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		path   string
		change func(t *testing.T, s *shop)
		kind   string
		want   []string
	}{
		"license":     {"/licenses/1", nil, conformance.SubjectLicense, ofShops},
		"status":      {atStatus, nil, conformance.SubjectStatus, ofShops},
		"publication": {atPublication, nil, conformance.SubjectPublication, []string{"info package-license META-INF/license.lcpl", opened}},
		"clear PDF": {"/a.pdf", func(t *testing.T, s *shop) {
			s.answer("/a.pdf", 200, "application/pdf", []byte("%PDF-1.7"))
		}, conformance.SubjectPublication, []string{"error package-protected"}},
		"license of another type": {
			"/x", func(t *testing.T, s *shop) { s.answer("/x", 200, "application/json", s.license) },
			conformance.SubjectLicense, append(slices.Clone(ofShops), "error target-type *"),
		},
		"nothing":      {"/nowhere", nil, "", []string{"error target *"}},
		"a web page":   {atHint, nil, "", []string{"error target"}},
		"broken book":  {"/b", func(t *testing.T, s *shop) { s.answer("/b", 200, epubType, []byte("PK\x03\x04")) }, conformance.SubjectPublication, []string{"error package"}},
		"redirections": {"/r", func(t *testing.T, s *shop) { s.answer("/r", 302, "text/html", nil) }, "", []string{"error target *"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			if tt.change != nil {
				tt.change(t, s)
			}
			report := online().Check(t.Context(), s.URL+tt.path)
			if report.Kind != tt.kind {
				t.Errorf("kind = %q, want %q", report.Kind, tt.kind)
			}
			for i := range report.Findings {
				report.Findings[i].Subject = "x" // there is none where nothing could be read
				if report.Findings[i].Remedy == "" {
					report.Findings[i].Remedy = "x"
				}
			}
			compareBlurred(t, report.Findings, tt.want)
		})
	}
}

// Files tell what they are by their content.
func TestFiles(t *testing.T) {
	t.Parallel()
	sample := func(name string) []byte {
		data, err := testdata.Samples.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	book := protectedSample(t, epubSample)
	withLicense := append(slices.Clone(book), entry{name: "META-INF/license.lcpl", data: issue(t)})
	wrong := resigned(t, issue(t), func(o object) { linkOf(o, 0)["type"] = "application/pdf+lcp" })
	for name, tt := range map[string]struct {
		file    string
		data    []byte
		license []byte
		kind    string
		want    []string
	}{
		"license by another name":  {"license.json", issue(t), nil, conformance.SubjectLicense, ofTests},
		"license after a mark":     {"l", append([]byte("\uFEFF"), issue(t)...), nil, conformance.SubjectLicense, []string{"error license-json"}},
		"status document":          {"status.json", []byte(lent), nil, conformance.SubjectStatus, nil},
		"publication":              {"a.epub", pack(t, book), nil, conformance.SubjectPublication, []string{"info package-license META-INF/license.lcpl", opened}},
		"publication, license":     {"a.epub", pack(t, book), issue(t), conformance.SubjectPublication, append(slices.Clone(ofTests), opened)},
		"license within":           {"a.epub", pack(t, withLicense), nil, conformance.SubjectPublication, append(slices.Clone(ofTests), opened)},
		"license is no license":    {"a.epub", pack(t, book), []byte("x"), conformance.SubjectPublication, []string{"error license-json", opened}},
		"license of another type":  {"a.epub", pack(t, book), wrong, conformance.SubjectPublication, append(slices.Clone(ofTests), "error publication-format links[0].type", opened)},
		"EPUB by another name":     {"a.zip", pack(t, book), issue(t), conformance.SubjectPublication, append(slices.Clone(ofTests), "warning package-extension", opened)},
		"audiobook by its name":    {"a.lcpau", pack(t, protectedSample(t, "sample.audiobook")), nil, conformance.SubjectPublication, []string{"info package-license license.lcpl", opened}},
		"clear EPUB":               {"a.epub", sample("sample.epub"), nil, conformance.SubjectPublication, []string{"error package-protected"}},
		"clear PDF":                {"a.pdf", sample("sample.pdf"), nil, conformance.SubjectPublication, []string{"error package-protected"}},
		"comic archive":            {"a.cbz", sample("sample.cbz"), nil, conformance.SubjectPublication, []string{"error package"}},
		"cut":                      {"a.epub", pack(t, book)[:4000], nil, conformance.SubjectPublication, []string{"error package"}},
		"text":                     {"a.lcpl", []byte("a license"), nil, "", []string{"error target"}},
		"empty":                    {"a.lcpl", nil, nil, "", []string{"error target"}},
		"longer than a license is": {"a.lcpl", append([]byte("{"), make([]byte, license.MaxSize)...), nil, conformance.SubjectLicense, []string{"error license-json"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := checker(hashOf(passphrase))
			c.License = tt.license
			report := c.Check(t.Context(), writeFile(t, tt.file, tt.data))
			if report.Kind != tt.kind {
				t.Errorf("kind = %q, want %q", report.Kind, tt.kind)
			}
			for i := range report.Findings {
				report.Findings[i].Subject = "x"
			}
			compareBlurred(t, report.Findings, tt.want)
		})
	}
	for name, target := range map[string]string{"folder": t.TempDir(), "nothing": filepath.Join(t.TempDir(), "x"), "URL": "https://example.org/"} {
		if report := checker(nil).Check(t.Context(), target); report.Errors != 1 || report.Findings[0].Rule != "target" {
			t.Errorf("%s: %+v", name, report)
		}
	}
}

// A wrong key is an error of every resource, which a report tells some times only.
func TestReportsAreBounded(t *testing.T) {
	t.Parallel()
	entries := protectedSample(t, epubSample)
	page := find(t, entries, "jabberwocky.xhtml")
	var declared strings.Builder
	for i := range 100 {
		name := fmt.Sprintf("EPUB/%d.xhtml", i)
		declared.WriteString(encryptedData(name))
		entries = append(entries, entry{name: name, data: page.data[:len(page.data)-16]})
	}
	replace(t, entries, "encryption.xml", "</encryption>", declared.String()+"</encryption>")
	c := checker(hashOf(passphrase))
	c.License = issue(t)
	report := c.Check(t.Context(), writeFile(t, "a.epub", pack(t, entries)))
	last := report.Findings[len(report.Findings)-1]
	if len(report.Findings) > 60 || report.Errors < 90 || report.Errors > 100 || !strings.HasSuffix(last.Message, "more of these") {
		t.Errorf("%d findings of %d errors, the last %+v", len(report.Findings), report.Errors, last)
	}
}

// So is what a name of others' making may do to it.
func TestLongNamesAreCut(t *testing.T) {
	t.Parallel()
	entries := protectedSample(t, epubSample)
	replace(t, entries, "encryption.xml", "</encryption>", encryptedData(strings.Repeat("é", 1<<16))+"</encryption>")
	report := checker(nil).Check(t.Context(), writeFile(t, "a.epub", pack(t, entries)))
	if report.Errors != 2 { // it is not there, and not percent-encoded
		t.Errorf("report = %+v", report)
	}
	for _, f := range report.Findings {
		if len(f.Place)+len(f.Message) > 3000 || !utf8.ValidString(f.Place+f.Message) {
			t.Errorf("a finding of %d bytes: %.80q", len(f.Place)+len(f.Message), f.Place)
		}
	}
}

// No temporary file stays.
func TestDownloadsAreRemoved(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	s := newShop(t)
	c := online()
	c.Check(t.Context(), s.URL+atFresh)
	c.Check(t.Context(), s.URL+atPublication)
	if left, err := os.ReadDir(temp); err != nil || slices.ContainsFunc(left, func(e os.DirEntry) bool { return strings.HasPrefix(e.Name(), "lcp-check") }) {
		t.Errorf("%v, %v", left, err)
	}
}

// Once it is interrupted, a check ends.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.Config.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	begin := time.Now()
	online().Check(ctx, writeFile(t, "book.lcpl", s.license))
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
}
