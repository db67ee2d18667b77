package conformance

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/protect"
)

// Bounds of what is fetched.
const (
	documentTimeout = 30 * time.Second
	downloadTimeout = time.Hour
	maxDownload     = 2 << 30 // bytes of a publication
)

var errSlow = errors.New("the server did not answer in time")

// A source is what a link leads to, and what is to come from there.
type source struct {
	subject, rule string
	href          string
	mediaType     string // "" for any
	clause        string
	remedy        string
}

func (s source) finding(severity Severity, message string) Finding {
	return Finding{severity, s.rule, s.subject, s.href, message, s.clause, s.remedy}
}

// get asks for what is at a source. An answer other than 200 is noted, and no
// answer is returned. The caller closes the body, and cancels ctx only then.
func (r *run) get(ctx context.Context, s source) *http.Response {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.href, http.NoBody)
	if err != nil {
		r.add(s.finding(Error, err.Error()))
		return nil
	}
	resp, err := r.HTTP.Do(req)
	if err != nil {
		r.add(s.finding(Error, unreachable(ctx, err)))
		return nil
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		r.add(s.refusal(resp))
		return nil
	}
	if s.mediaType != "" && !sameType(resp.Header.Get("Content-Type"), s.mediaType) {
		f := s.finding(Error, fmt.Sprintf("the Content-Type is %s, not %s", quote(resp.Header.Get("Content-Type")), s.mediaType))
		f.Rule, f.Remedy = s.rule+"-type", "have the server send the media type: apps tell by it what came"
		if s.subject == SubjectPublication || s.subject == SubjectHint {
			f.Severity = Warning // apps go by the type in the license
		}
		r.add(f)
	}
	return resp
}

// unreachable tells why there was no answer, without the method and the URL that
// net/http puts in front.
func unreachable(ctx context.Context, err error) string {
	if cause := context.Cause(ctx); cause != nil {
		return cause.Error()
	}
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	return "it cannot be had: " + err.Error()
}

// refusal tells of an answer other than 200. A license may be delivered to those
// alone who have been authorized, which an app cannot be; a status document may
// not.
func (s source) refusal(resp *http.Response) Finding {
	f := s.finding(Error, "the server answered "+quote(resp.Status))
	closed := resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden
	switch {
	case closed && s.subject == SubjectFresh:
		f.Severity = Warning
		f.Message += ": it delivers the license to those alone who are authorized"
		f.Remedy = "apps ask with a plain GET: have the server deliver licenses to it, or readers go on with the license they have"
	case closed:
		f.Remedy = "let everyone have it: apps have no user and no password"
	}
	return f
}

// fetch returns a document. What goes wrong is noted, and nil returned.
func (r *run) fetch(ctx context.Context, s source) []byte {
	ctx, cancel := context.WithTimeoutCause(ctx, documentTimeout, errSlow)
	defer cancel()
	resp := r.get(ctx, s)
	if resp == nil {
		return nil
	}
	defer resp.Body.Close()
	return r.readDocument(ctx, s, resp.Body)
}

func (r *run) readDocument(ctx context.Context, s source, body io.Reader) []byte {
	data, err := io.ReadAll(io.LimitReader(body, license.MaxSize+1))
	switch {
	case err != nil:
		r.add(s.finding(Error, unreachable(ctx, err)))
		return nil
	case len(data) > license.MaxSize:
		r.add(s.finding(Error, fmt.Sprintf("it has more than %d bytes", license.MaxSize)))
		return nil
	}
	return data
}

// follow follows the links of a license as an app does. The publication is
// downloaded, or only asked for.
func (r *run) follow(ctx context.Context, doc *license.Document, key *lcpcrypto.ContentKey, download bool) {
	if r.HTTP == nil {
		return
	}
	current := r.status(ctx, doc)
	r.leaves(ctx, current, key, download)
}

// leaves follows the links that lead nowhere further.
func (r *run) leaves(ctx context.Context, doc *license.Document, key *lcpcrypto.ContentKey, download bool) {
	for _, l := range withRel(doc.Links, license.RelHint) {
		if followed(l) && ctx.Err() == nil {
			r.hint(ctx, l)
		}
	}
	for _, l := range withRel(doc.Links, license.RelPublication) {
		if followed(l) && ctx.Err() == nil {
			r.publication(ctx, doc, l, key, download)
			return // apps take the first
		}
	}
}

// followed tells the links that can be followed; of others the rules tell.
func followed(l placedLink) bool { return isWeb(l.Href) && !l.Templated && notURI(l.Href) == "" }

func (r *run) hint(ctx context.Context, l placedLink) {
	s := source{SubjectHint, "hint", l.Href, l.Type, "LCP §4.3", "have the hint page answer: readers who forgot their passphrase are sent there"}
	ctx, cancel := context.WithTimeoutCause(ctx, documentTimeout, errSlow)
	defer cancel()
	if resp := r.get(ctx, s); resp != nil {
		resp.Body.Close()
	}
}

// status checks the status document of a license, and the license that it links
// to. It returns the newer of both licenses.
func (r *run) status(ctx context.Context, doc *license.Document) *license.Document {
	for _, l := range withRel(doc.Links, license.RelStatus) {
		if !followed(l) {
			continue
		}
		data := r.fetch(ctx, source{
			SubjectStatus, "status-fetch", l.Href, license.StatusMediaType, "LSD §2.1",
			"have the license server answer there: what a status link leads to must be a status document (LSD §4.2)",
		})
		if data == nil {
			return doc
		}
		status, found := Status(data)
		r.add(found...)
		if status == nil {
			return doc
		}
		p := pair{status, doc, r.now}
		r.add(apply(identityRules, SubjectStatus, "", p)...)
		r.add(apply(givenRules, SubjectStatus, "", p)...)
		if fresh, _ := r.fresh(ctx, status, doc); fresh != nil {
			return fresh
		}
		if !status.LicenseUpdated.After(doc.LastUpdated()) {
			r.add(apply(currentRules, SubjectStatus, "", p)...)
		}
		return doc
	}
	return doc
}

// fresh checks the license that a status document links to, and opens it. The one
// at hand may be nil. What was said of that one is not said again.
func (r *run) fresh(ctx context.Context, status *StatusDocument, given *license.Document) (*license.Document, *lcpcrypto.ContentKey) {
	l, ok := freshLink(status, given)
	if !ok || ctx.Err() != nil {
		return nil, nil
	}
	data := r.fetch(ctx, source{
		SubjectFresh, "fresh-fetch", l.Href, license.MediaType, "LSD §3.2",
		"have the server deliver the license there: apps replace theirs by it",
	})
	if data == nil {
		return nil, nil
	}
	doc, found := License(SubjectFresh, data, r.Roots, r.now)
	r.add(slices.DeleteFunc(found, r.told)...)
	if doc == nil {
		return nil, nil
	}
	key := r.open(ctx, SubjectFresh, doc)
	p := pair{status, doc, r.now}
	r.add(apply(identityRules, SubjectStatus, "", p)...)
	r.add(apply(freshRules, SubjectStatus, "", p)...)
	r.add(apply(currentRules, SubjectStatus, "", p)...)
	return doc, key
}

// told reports whether the same was said of the license at hand.
func (r *run) told(f Finding) bool {
	f.Subject = SubjectLicense
	return slices.Contains(r.report.Findings, f)
}

// freshLink chooses the link whose profile is that of the license, or the first.
func freshLink(status *StatusDocument, given *license.Document) (placedLink, bool) {
	var first placedLink
	for _, l := range withRel(status.Links, relLicense) {
		switch {
		case !followed(l):
		case given != nil && l.Profile == given.Encryption.Profile:
			return l, true
		case first.place == "":
			first = l
		}
	}
	return first, first.place != ""
}

// statusTarget checks a status document that was given, and what it leads to.
func (r *run) statusTarget(ctx context.Context, data []byte) {
	status, found := Status(data)
	r.add(found...)
	if status == nil || r.HTTP == nil {
		return
	}
	if doc, key := r.fresh(ctx, status, nil); doc != nil {
		r.leaves(ctx, doc, key, true)
	}
}

// publication checks what is downloaded from the publication link.
func (r *run) publication(ctx context.Context, doc *license.Document, l placedLink, key *lcpcrypto.ContentKey, download bool) {
	ctx, cancel := context.WithTimeoutCause(ctx, downloadTimeout, errSlow)
	defer cancel()
	s := source{
		SubjectPublication, "publication-fetch", l.Href, l.Type, "LCP §7.2",
		"publish the protected publication there, or have the license issued again with the right link",
	}
	resp := r.get(ctx, s)
	if resp == nil {
		return
	}
	defer resp.Body.Close()
	if l.Length > 0 && resp.ContentLength >= 0 && resp.ContentLength != l.Length {
		r.add(lengthFinding(s, resp.ContentLength, l.Length))
		return
	}
	switch {
	case !download:
		return
	case max(l.Length, resp.ContentLength) > maxDownload:
		f := s.finding(Info, fmt.Sprintf("it was not downloaded: it has more than %d bytes", maxDownload))
		f.Remedy = "download it, and check the file"
		r.add(f)
		return
	}
	name, size, sum, err := save(resp.Body)
	if name != "" {
		defer os.Remove(name)
	}
	if err != nil {
		r.add(s.finding(Error, unreachable(ctx, err)))
		return
	}
	if l.Length > 0 && size != l.Length {
		r.add(lengthFinding(s, size, l.Length))
	}
	if l.Hash != "" && !strings.EqualFold(l.Hash, hex.EncodeToString(sum)) && !isBase64Of(l.Hash, sum) {
		f := s.finding(Error, fmt.Sprintf("its SHA-256 is %x, and the license says %s", sum, quote(l.Hash)))
		f.Rule, f.Remedy = "publication-hash", "it was replaced or damaged: register what is published with the license server, and apps get its hash with the next fresh license"
		r.add(f)
	}
	r.downloaded(ctx, doc, name, key)
}

// isBase64Of reports whether text is data in Base64.
func isBase64Of(text string, data []byte) bool {
	decoded, err := base64.StdEncoding.DecodeString(text)
	return err == nil && bytes.Equal(decoded, data)
}

func lengthFinding(s source, got, want int64) Finding {
	f := s.finding(Error, fmt.Sprintf("it has %d bytes, and the license says %d", got, want))
	f.Rule, f.Remedy = "publication-length", "it was replaced or damaged: register what is published with the license server, and apps get its length with the next fresh license"
	return f
}

// downloaded checks a publication that was downloaded for a license.
func (r *run) downloaded(ctx context.Context, doc *license.Document, name string, key *lcpcrypto.ContentKey) {
	pkg, err := protect.OpenPackage(name)
	if err != nil {
		r.add(packageFailure(err))
		return
	}
	defer pkg.Close()
	r.add(formatFindings(doc, pkg.Format)...)
	Package(ctx, pkg, key, r.add)
}

// save writes a download to a temporary file, which the caller removes if it has
// a name.
func save(body io.Reader) (name string, size int64, sum []byte, err error) {
	f, err := os.CreateTemp("", "lcp-check-*")
	if err != nil {
		return "", 0, nil, err
	}
	h := sha256.New()
	size, err = io.Copy(io.MultiWriter(f, h), io.LimitReader(body, maxDownload+1))
	if err == nil && size > maxDownload {
		err = fmt.Errorf("it has more than %d bytes", maxDownload)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return f.Name(), size, h.Sum(nil), err
}

// address checks what is at a URL.
func (r *run) address(ctx context.Context, href string) {
	if r.HTTP == nil {
		r.add(unreadable(errors.New("it is not fetched: no link is followed")))
		return
	}
	ctx, cancel := context.WithTimeoutCause(ctx, downloadTimeout, errSlow)
	defer cancel()
	s := source{href: href, rule: "target"}
	resp := r.get(ctx, s)
	if resp == nil {
		return
	}
	defer resp.Body.Close()
	body := bufio.NewReaderSize(resp.Body, headSize)
	head, _ := body.Peek(headSize) // an error comes again when it is read
	switch kindOf(head) {
	case kindPDF:
		r.report.Kind = SubjectPublication
		r.add(notProtected)
	case SubjectPublication:
		r.addressedPackage(ctx, s, body)
	case SubjectLicense:
		if data := r.readDocument(ctx, s, body); data != nil {
			r.document(ctx, data)
			r.add(typeFindings(r.report.Kind, href, resp.Header.Get("Content-Type"))...)
		}
	default:
		r.add(unknownTarget)
	}
}

func (r *run) addressedPackage(ctx context.Context, s source, body io.Reader) {
	name, _, _, err := save(body)
	if name != "" {
		defer os.Remove(name)
	}
	if err != nil {
		r.add(s.finding(Error, unreachable(ctx, err)))
		return
	}
	if pkg := r.packageFile(ctx, name); pkg != nil {
		pkg.Close()
	}
}

// typeFindings says that a document came under another media type than its own.
func typeFindings(kind, href, contentType string) []Finding {
	want, clause := license.MediaType, "LCP §3.2"
	if kind == SubjectStatus {
		want, clause = license.StatusMediaType, "LSD §2.1"
	}
	if sameType(contentType, want) {
		return nil
	}
	return []Finding{{
		Error, "target-type", kind, href, fmt.Sprintf("the Content-Type is %s, not %s", quote(contentType), want), clause,
		"have the server send the media type: apps tell by it what came",
	}}
}
