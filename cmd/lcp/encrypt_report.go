package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/lcp-tools/lcp/pkg/blob/fileblob"
	"github.com/lcp-tools/lcp/pkg/catalogue"
)

// reporting has run write its report, which appears, whole, when it has ended.
func (o *encryptOptions) reporting(run func(report *reportWriter) error) error {
	if o.reportFile == "" {
		return run(nil)
	}
	ran := false
	var runErr error
	err := fileblob.WriteFile(o.reportFile, func(f *os.File) error {
		ran = true
		report := newReport(f, filepath.Ext(o.reportFile) == ".csv")
		runErr = run(report)
		return report.close()
	})
	if err != nil {
		err = fmt.Errorf("write the report %s: %w", o.reportFile, err)
	}
	if !ran || runErr == nil {
		return err
	}
	return runErr
}

// reportHeader names the columns of a report.
var reportHeader = []string{
	"source", "result", "uuid", "alt_id", "title", "authors", "content_type", "file", "href",
	"size", "checksum", "cover", "seconds", "warnings", "error", "untold", "undeleted",
}

// A reportedRecord is a row of a report in JSON.
type reportedRecord struct {
	Result string `json:"result"` // done, kept or failed
	catalogue.Record
}

// A reportWriter writes a row for every record, as CSV or as a list in JSON.
type reportWriter struct {
	csv  *csv.Writer // nil for JSON
	json recordWriter
}

func newReport(w io.Writer, asCSV bool) *reportWriter {
	r := &reportWriter{json: recordWriter{out: w, format: formatJSON}}
	if asCSV {
		r.csv = csv.NewWriter(w)
		_ = r.csv.Write(reportHeader) // close tells
	}
	return r
}

func (r *reportWriter) write(rec catalogue.Record) error {
	if r.csv == nil {
		return r.json.write(reportedRecord{resultOf(&rec), rec})
	}
	return r.csv.Write(reportRow(rec))
}

func (r *reportWriter) close() error {
	if r.csv == nil {
		return r.json.close()
	}
	r.csv.Flush()
	return r.csv.Error()
}

// resultOf says in one word what became of an input.
func resultOf(r *catalogue.Record) string {
	switch {
	case r.Error != "":
		return "failed"
	case r.Kept:
		return "kept"
	default:
		return "done"
	}
}

func reportRow(r catalogue.Record) []string {
	return []string{
		r.Source, resultOf(&r), r.UUID, r.AltID, r.Title, strings.Join(r.Authors, "; "), r.ContentType, r.File, r.Href,
		strconv.FormatInt(r.Size, 10), r.Checksum, r.Cover, fmt.Sprintf("%.3f", r.Seconds), strings.Join(r.Warnings, "; "), r.Error,
		r.Untold, r.Undeleted,
	}
}
