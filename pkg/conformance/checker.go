package conformance

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/profile"
	"github.com/lcp-tools/lcp/pkg/protect"
	"github.com/lcp-tools/lcp/pkg/publication"
	"github.com/lcp-tools/lcp/pkg/rwpm/jsontree"
)

// A Checker checks what is in files and at URLs.
type Checker struct {
	Roots    *x509.CertPool  // what certificates must be issued under; nil: that is not verified
	Hash     *profile.Hash   // of the passphrase; nil: nothing is decrypted
	Profiles profile.Deriver // required with Hash
	License  []byte          // document for publications; nil: the one within them
	HTTP     *http.Client    // to follow links with; nil: none is followed
	Now      func() time.Time
}

// A Report is what was found out about one target.
type Report struct {
	Target   string    `json:"target"`
	Kind     string    `json:"kind,omitempty"` // SubjectLicense, SubjectStatus or SubjectPublication; empty where that could not be told
	Errors   int       `json:"errors"`
	Warnings int       `json:"warnings"`
	Findings []Finding `json:"findings"` // of each sort at most maxRepeats, and how many more there are
}

// Bounds of reports.
const (
	maxRepeats = 20      // findings of one rule on one subject: a wrong key has one for each resource of a book
	maxText    = 1 << 10 // bytes of a place or a message, in which there may be names of others' making
)

// A run is the check of one target.
type run struct {
	*Checker
	now     time.Time
	report  Report
	repeats map[series]int
	long    []series // those that were cut
}

// A series is findings that differ in their place only. A few are told, and the
// others counted.
type series struct {
	severity      Severity
	rule, subject string
}

// Check checks a file or an http or https URL: a license document, a status
// document, or a protected publication. What cannot be read, or is none of these,
// is an error in the report. It ends early once ctx is done.
func (c *Checker) Check(ctx context.Context, target string) Report {
	r := &run{Checker: c, now: c.Now(), repeats: make(map[series]int)}
	r.report.Target, r.report.Findings = target, []Finding{}
	if isWeb(target) {
		r.address(ctx, target)
	} else {
		r.file(ctx, target)
	}
	r.sumUp()
	return r.report
}

// add takes findings into the report. What a status document is found out in against
// a license and again against the fresh one is told once.
func (r *run) add(found ...Finding) {
	for _, f := range found {
		f.Place, f.Message = clip(f.Place, maxText), clip(f.Message, maxText)
		s := series{f.Severity, f.Rule, f.Subject}
		if r.repeats[s] <= maxRepeats && slices.Contains(r.report.Findings, f) {
			continue
		}
		switch f.Severity {
		case Error:
			r.report.Errors++
		case Warning:
			r.report.Warnings++
		case Info:
		}
		switch r.repeats[s]++; {
		case r.repeats[s] <= maxRepeats:
			r.report.Findings = append(r.report.Findings, f)
		case r.repeats[s] == maxRepeats+1:
			r.long = append(r.long, s)
		}
	}
}

// sumUp tells how many findings were left out.
func (r *run) sumUp() {
	for _, s := range r.long {
		r.report.Findings = append(r.report.Findings, Finding{
			Severity: s.severity, Rule: s.rule, Subject: s.subject, Message: fmt.Sprintf("%d more of these", r.repeats[s]-maxRepeats),
		})
	}
}

// unreadable is the finding of a target that cannot be read.
func unreadable(err error) Finding {
	return Finding{Severity: Error, Rule: "target", Message: err.Error()}
}

// unknownTarget is the finding of a target that is nothing to check.
var unknownTarget = Finding{
	Severity: Error, Rule: "target", Message: "neither a license, nor a status document, nor a publication package",
	Remedy: "name an .lcpl file, a protected publication, or the URL of one",
}

// file checks a file.
func (r *run) file(ctx context.Context, name string) {
	f, head, err := openTarget(name)
	if err != nil {
		r.add(unreadable(err))
		return
	}
	defer f.Close()
	switch kindOf(head) {
	case kindPDF:
		r.report.Kind = SubjectPublication
		r.add(notProtected)
	case SubjectPublication:
		if pkg := r.packageFile(ctx, name); pkg != nil {
			r.add(extensionFindings(name, pkg.Format)...)
			pkg.Close()
		}
	case SubjectLicense:
		data, err := io.ReadAll(io.NewSectionReader(f, 0, license.MaxSize+1))
		if err != nil {
			r.add(unreadable(err))
			return
		}
		r.document(ctx, data)
	default:
		r.add(unknownTarget)
	}
}

// openTarget opens a regular file, and returns how it begins.
func openTarget(name string) (f *os.File, head []byte, err error) {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return nil, nil, errors.New("not a regular file") // opening a pipe would wait for its writer
	}
	if f, err = os.Open(name); err != nil {
		return nil, nil, err
	}
	head = make([]byte, headSize)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		f.Close()
		return nil, nil, err
	}
	return f, head[:n], nil
}

// kindPDF is that of a bare PDF, which is a clear publication.
const kindPDF = "PDF"

// kindOf tells what begins so: a package, or a document, which may be a status
// document as well as a license.
func kindOf(head []byte) string {
	text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\uFEFF")), " \t\r\n")
	switch {
	case bytes.HasPrefix(head, []byte("%PDF-")):
		return kindPDF
	case bytes.HasPrefix(head, []byte("PK")):
		return SubjectPublication
	case bytes.HasPrefix(text, []byte("{")):
		return SubjectLicense
	default:
		return ""
	}
}

// isStatus tells a status document from a license.
func isStatus(data []byte) bool {
	tree, err := jsontree.Parse(data)
	return err == nil && tree.Get("encryption") == nil && tree.Get("signature") == nil &&
		(tree.Get("status") != nil || tree.Get("events") != nil)
}

// document checks a document and what it links to.
func (r *run) document(ctx context.Context, data []byte) {
	if isStatus(data) {
		r.report.Kind = SubjectStatus
		r.statusTarget(ctx, data)
		return
	}
	r.report.Kind = SubjectLicense
	doc, found := License(SubjectLicense, data, r.Roots, r.now)
	r.add(found...)
	if doc != nil {
		r.follow(ctx, doc, r.open(ctx, SubjectLicense, doc), true)
	}
}

// open opens a license with the passphrase. The key is nil where there is none.
func (r *run) open(ctx context.Context, subject string, doc *license.Document) *lcpcrypto.ContentKey {
	e := doc.Encryption
	if r.Hash == nil || doc.ID == "" || e.Profile == "" || len(e.UserKey.KeyCheck) == 0 || len(e.ContentKey.EncryptedValue) == 0 {
		return nil // told already, if it is a fault
	}
	userKey, err := r.Profiles.UserKey(ctx, e.Profile, *r.Hash)
	if err != nil {
		r.add(Finding{
			Warning, "passphrase-profile", subject, "encryption.profile", "the passphrase was not tried: " + err.Error(), "LCP §6.2",
			"configure a helper for the profile",
		})
		return nil
	}
	opened, err := doc.Open(userKey)
	if err != nil {
		r.add(openFailure(subject, opened, err))
	}
	if opened.ContentKey == (lcpcrypto.ContentKey{}) {
		return nil
	}
	return &opened.ContentKey
}

// packageFile checks a publication with its license. The caller closes the
// package, which is nil where it could not be opened.
func (r *run) packageFile(ctx context.Context, name string) *protect.Package {
	r.report.Kind = SubjectPublication
	pkg, err := protect.OpenPackage(name)
	if err != nil {
		r.add(packageFailure(err))
		return nil
	}
	var key *lcpcrypto.ContentKey
	if pkg.Protected {
		key = r.licenseOf(ctx, pkg)
	}
	Package(ctx, pkg, key, r.add)
	return pkg
}

// licenseOf checks the license for a publication and returns the content key, if
// it can be had.
func (r *run) licenseOf(ctx context.Context, pkg *protect.Package) *lcpcrypto.ContentKey {
	data := r.License
	if data == nil {
		var err error
		if data, err = pkg.LicenseDocument(); err != nil {
			r.add(packageFailure(err))
		}
	}
	if data == nil {
		r.add(Finding{
			Info, "package-license", SubjectPublication, pkg.Format.License, "there is no license in the package", "LCP §7.1",
			"apps put it there when they download the publication that a license links to",
		})
		return nil
	}
	doc, found := License(SubjectLicense, data, r.Roots, r.now)
	r.add(found...)
	if doc == nil {
		return nil
	}
	r.add(formatFindings(doc, pkg.Format)...)
	key := r.open(ctx, SubjectLicense, doc)
	r.follow(ctx, doc, key, false)
	return key
}

// formatFindings says that a license is for another kind of publication.
func formatFindings(doc *license.Document, format publication.Format) []Finding {
	for _, l := range withRel(doc.Links, license.RelPublication) {
		if l.Type != "" && l.Type != format.MediaType {
			return []Finding{{
				Error, "publication-format", SubjectLicense, join(l.place, "type"),
				fmt.Sprintf("is %s, and the publication is %s", quote(l.Type), format.MediaType), "LCP §3.5",
				"is it the license for this publication? Apps choose the reader by the type",
			}}
		}
	}
	return nil
}

// sameType reports whether a Content-Type is a media type, parameters aside.
func sameType(contentType, mediaType string) bool {
	got, _, _ := strings.Cut(contentType, ";")
	want, _, _ := strings.Cut(mediaType, ";")
	return strings.EqualFold(strings.TrimSpace(got), strings.TrimSpace(want))
}
