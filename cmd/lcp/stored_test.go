//go:build unix

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/blob/s3blob"
	"github.com/lcp-tools/lcp/pkg/catalogue"
	"github.com/lcp-tools/lcp/testdata"
)

const (
	testBucket = "books"
	testRegion = "us-east-1"
)

// startS3 starts a real S3-compatible server with an empty bucket, which goes with
// the test, and returns its address, or skips the test.
func startS3(t *testing.T) (address string, client *s3.Client) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: no S3 server")
	}
	const script = "../../scripts/s3server.sh"
	// The first build downloads and compiles much.
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, script, "--build").CombinedOutput(); err != nil {
		t.Skipf("no S3 server: %v: %s", err, out)
	}
	cmd := exec.Command(script)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the S3 server printed no address: %v", err)
	}
	address = strings.TrimSpace(line)
	client = s3.New(s3.Options{
		BaseEndpoint: &address, Region: testRegion, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider("test", "testsecret", ""),
	})
	bucket := testBucket
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		t.Fatal(err)
	}
	return address, client
}

// objects lists the keys in the bucket.
func objects(t *testing.T, client *s3.Client) []string {
	t.Helper()
	bucket := testBucket
	var keys []string
	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: &bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			keys = append(keys, *o.Key)
		}
	}
	slices.Sort(keys)
	return keys
}

// download puts an object, named by its s3 URL, into the machine's folder.
func (m *machine) download(t *testing.T, client *s3.Client, location, name string) {
	t.Helper()
	bucket, key, err := s3blob.ParseURL(location)
	if err != nil {
		t.Fatal(err)
	}
	object, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	defer object.Body.Close()
	f, err := os.Create(m.path(name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.ReadFrom(object.Body); err != nil {
		t.Fatal(err)
	}
}

// Publications, good and broken together, go through one command into a bucket
// and to a license server, both real. Every object there opens with a license
// that the server issues, and there is nothing else.
func TestStoredSamplesOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.CopyFS(dir, testdata.Samples); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "broken"), 0o700); err != nil {
		t.Fatal(err)
	}
	broken := brokenInputs(t)
	for name, tt := range broken {
		if filepath.Ext(name) == ".zip" {
			continue // of a folder, only what looks like a publication is taken
		}
		if err := os.WriteFile(filepath.Join(dir, "broken", name), tt.data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	checkStoredOpen(t, dir)
}

func TestStoredCorpusOpens(t *testing.T) {
	t.Parallel()
	checkStoredOpen(t, corpus(t))
}

func checkStoredOpen(t *testing.T, dir string) {
	t.Helper()
	endpoint, client := startS3(t)
	m := newReadingMachine(t)
	s := m.serve(t, "")
	m.env = append(m.env, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=testsecret",
		"LCP_SERVER="+s.base, "LCP_SERVER_USER="+s.user, "LCP_SERVER_PASSWORD="+s.password)
	o := m.run(t, "encrypt", dir, "--recursive", "--cover", "--report", "report.json",
		"--storage", "s3://"+testBucket+"/shelf", "--s3-endpoint", endpoint, "--s3-path-style", "--s3-region", testRegion,
		"--url", "https://cdn.example.com/shelf")
	if o.code != exitSomeFailed {
		t.Fatalf("exit code %d, want %d: %s", o.code, exitSomeFailed, o.errors)
	}
	var report, done []catalogue.Record
	if err := json.Unmarshal(readFile(t, m.path("report.json")), &report); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, rec := range report {
		inBroken := filepath.Base(filepath.Dir(rec.Source)) == "broken"
		if rec.Error != "" {
			if !inBroken {
				t.Errorf("%s: %s", rec.Source, rec.Error)
			}
			continue
		}
		done = append(done, rec)
		for _, location := range []string{rec.File, rec.Cover} {
			if key, ok := strings.CutPrefix(location, "s3://"+testBucket+"/"); ok {
				keys = append(keys, key)
			}
		}
	}
	slices.Sort(keys)
	if found := objects(t, client); !slices.Equal(found, keys) {
		t.Errorf("the bucket holds %q, want %q", found, keys)
	}
	var registered []api.Publication
	if err := json.Unmarshal(s.want(t, http.StatusOK, "GET", "/publications/?per_page=1000", nil), &registered); err != nil {
		t.Fatal(err)
	}
	if len(registered) != len(done) || len(done) == 0 || len(done) == len(report) {
		t.Errorf("%d of %d are done, %d registered", len(done), len(report), len(registered))
	}
	for _, rec := range done {
		t.Run(filepath.Base(rec.Source), func(t *testing.T) {
			stored := rec.UUID + filepath.Ext(rec.File)
			m.download(t, client, rec.File, stored)
			rec.File = stored
			if filepath.Base(filepath.Dir(rec.Source)) == "broken" { // a flaw that is mended: entries differ
				checkLicense(t, m, rec)
				m.must(t, "decrypt", stored, "--license", rec.UUID+".lcpl", "--passphrase-file", "p", "--out", rec.UUID+".clear")
				return
			}
			checkStored(t, m, rec, rec.Source)
		})
	}
}
