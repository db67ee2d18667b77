package certificate_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/certificate"
	"github.com/lcp-tools/lcp/pkg/signature"
)

var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// certify returns a self-signed certificate, valid for a year from now on.
func certify(key crypto.Signer) []byte {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(255), Subject: pkix.Name{CommonName: "Shop"},
		NotBefore: now, NotAfter: now.AddDate(1, 0, 0),
	}
	return must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// write writes text into a new file and returns its name.
func write(t *testing.T, text ...[]byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(name, slices.Concat(text...), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestLoad(t *testing.T) {
	t.Parallel()
	rsaKey := must(rsa.GenerateKey(rand.Reader, 2048))
	ecKey := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	other := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	rsaCert, ecCert := block("CERTIFICATE", certify(rsaKey)), block("CERTIFICATE", certify(ecKey))
	otherCert := block("CERTIFICATE", certify(other))
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	pkcs8 := func(key any) []byte { return block("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(key))) }
	sec1 := block("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(ecKey)))
	oldEncrypted := pem.EncodeToMemory(&pem.Block{
		Type: "RSA PRIVATE KEY", Bytes: []byte("x"),
		Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"},
	})
	for name, tt := range map[string]struct {
		certificate, key []byte
		now              time.Time
		chain            int
		err              error
		reason           string
	}{
		"PKCS #8, RSA":          {rsaCert, pkcs8(rsaKey), now, 0, nil, ""},
		"PKCS #1":               {rsaCert, block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey)), now, 0, nil, ""},
		"PKCS #8, ECDSA":        {ecCert, pkcs8(ecKey), now, 0, nil, ""},
		"SEC 1 with parameters": {ecCert, slices.Concat(block("EC PARAMETERS", []byte{6}), sec1), now, 0, nil, ""},
		"chain":                 {slices.Concat(ecCert, otherCert), sec1, now, 1, nil, ""},
		"key in the same file":  {slices.Concat(sec1, ecCert), slices.Concat(ecCert, sec1), now, 0, nil, ""},
		"on the last second":    {ecCert, sec1, now.AddDate(1, 0, 0), 0, nil, ""},

		"chain in the wrong order": {
			slices.Concat(otherCert, rsaCert, ecCert), sec1, now, 0, signature.ErrKeyMismatch, "number 3",
		},
		"key of another":            {otherCert, sec1, now, 0, signature.ErrKeyMismatch, "does not belong"},
		"expired":                   {ecCert, sec1, now.AddDate(1, 0, 1), 0, certificate.ErrExpired, "2027-06-01T12:00:00Z"},
		"not yet valid":             {ecCert, sec1, now.Add(-time.Second), 0, certificate.ErrNotYetValid, "2026-06-01T12:00:00Z"},
		"encrypted PKCS #8":         {ecCert, block("ENCRYPTED PRIVATE KEY", []byte("x")), now, 0, certificate.ErrEncryptedKey, "openssl pkey"},
		"encrypted PKCS #1":         {rsaCert, oldEncrypted, now, 0, certificate.ErrEncryptedKey, "openssl pkey"},
		"Ed25519":                   {block("CERTIFICATE", certify(edKey)), pkcs8(edKey), now, 0, signature.ErrKeyType, "RSA or ECDSA"},
		"P-384":                     {block("CERTIFICATE", certify(p384)), pkcs8(p384), now, 0, signature.ErrKeyType, "P-256"},
		"no certificate":            {sec1, sec1, now, 0, nil, "no CERTIFICATE"},
		"no key":                    {ecCert, ecCert, now, 0, nil, "no private key"},
		"empty files":               {nil, nil, now, 0, nil, "no CERTIFICATE"},
		"damaged certificate":       {block("CERTIFICATE", []byte("x")), sec1, now, 0, nil, "number 1"},
		"damaged key":               {ecCert, block("EC PRIVATE KEY", []byte("x")), now, 0, nil, "private key"},
		"file that is far too long": {slices.Repeat([]byte("x"), 2<<20), sec1, now, 0, nil, "no PEM file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			certFile, keyFile := write(t, tt.certificate), write(t, tt.key)
			p, err := certificate.Load(certFile, keyFile, tt.now)
			if tt.reason == "" {
				if err != nil || len(p.Chain) != tt.chain || p.Signer.Certificate() != p.Certificate {
					t.Errorf("Load = %v, %v", p, err)
				}
				return
			}
			if err == nil || tt.err != nil && !errors.Is(err, tt.err) || !strings.Contains(err.Error(), tt.reason) {
				t.Fatalf("Load = %v, want %v and %q", err, tt.err, tt.reason)
			}
			if !strings.Contains(err.Error(), certFile) && !strings.Contains(err.Error(), keyFile) {
				t.Errorf("error %q names no file", err)
			}
		})
	}
	t.Run("file that is not there", func(t *testing.T) {
		t.Parallel()
		if _, err := certificate.Load("nowhere.pem", write(t, sec1), now); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Load = %v, want ErrNotExist", err)
		}
		if _, err := certificate.Load(write(t, ecCert), "nowhere.key", now); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Load = %v, want ErrNotExist", err)
		}
	})
}

func TestExpiryWarning(t *testing.T) {
	t.Parallel()
	c := must(x509.ParseCertificate(certify(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)))))
	end := c.NotAfter
	for name, tt := range map[string]struct {
		at   time.Time
		want string
	}{
		"61 days before": {end.AddDate(0, 0, -61), ""},
		"60 days before": {end.AddDate(0, 0, -60), `certificate "Shop" expires on 2027-06-01T12:00:00Z, in 60 days`},
		"an hour before": {end.Add(-time.Hour), "in 0 days"},
		"after":          {end.Add(time.Hour), ""}, // then it is an error
	} {
		got := certificate.ExpiryWarning(c, tt.at)
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: ExpiryWarning = %q, want %q", name, got, tt.want)
		}
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	key := must(rsa.GenerateKey(rand.Reader, 2048))
	c := must(x509.ParseCertificate(certify(key)))
	got := certificate.Describe(c)
	if len(got.Fingerprint) != 64 {
		t.Errorf("fingerprint = %q, want 64 digits", got.Fingerprint)
	}
	got.Fingerprint = ""
	want := certificate.Description{
		Subject: "CN=Shop", Issuer: "CN=Shop", Serial: "ff", NotBefore: now, NotAfter: now.AddDate(1, 0, 0), KeyType: "RSA-2048",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Describe (-want +got):\n%s", diff)
	}
}

func TestCreateTest(t *testing.T) {
	t.Parallel()
	for keyType, want := range map[certificate.KeyType]string{
		certificate.RSA2048: "RSA-2048", certificate.P256: "ECDSA P-256",
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "a", "b")
			if err := certificate.CreateTest(dir, keyType, now); err != nil {
				t.Fatal(err)
			}
			p, err := certificate.Load(filepath.Join(dir, certificate.CertificateFile), filepath.Join(dir, certificate.KeyFile), now)
			if err != nil {
				t.Fatal(err)
			}
			d := certificate.Describe(p.Certificate)
			if !d.Test || d.KeyType != want || !strings.Contains(d.Subject, "TEST") || !strings.Contains(d.Issuer, "TEST") {
				t.Errorf("Describe = %+v", d)
			}
			root := must(certificate.Read(filepath.Join(dir, certificate.RootFile)))[0]
			roots := x509.NewCertPool()
			roots.AddCert(root)
			if err := signature.CheckIssuer(p.Certificate, roots, now); err != nil || !certificate.Describe(root).Test {
				t.Errorf("root: %v", err)
			}
			checkModes(t, dir)
		})
	}
}

func checkModes(t *testing.T, dir string) {
	t.Helper()
	entries := must(os.ReadDir(dir))
	if len(entries) != 3 {
		t.Errorf("folder has %v", entries)
	}
	if siblings := must(os.ReadDir(filepath.Dir(dir))); len(siblings) != 1 {
		t.Errorf("beside the folder there are %v", siblings)
	}
	if runtime.GOOS == "windows" {
		return // no such modes there
	}
	for _, e := range entries {
		mode, others := must(e.Info()).Mode().Perm(), fs.FileMode(0o077)
		if e.Name() == certificate.KeyFile && mode&others != 0 || e.Name() != certificate.KeyFile && mode&0o600 != 0o600 {
			t.Errorf("%s has mode %v", e.Name(), mode)
		}
	}
}

func TestCreateTestOverwritesNothing(t *testing.T) {
	t.Parallel()
	t.Run("folder with a file", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		name := filepath.Join(dir, certificate.KeyFile)
		if err := os.WriteFile(name, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := certificate.CreateTest(dir, certificate.P256, now); !errors.Is(err, fs.ErrExist) {
			t.Errorf("CreateTest = %v, want ErrExist", err)
		}
		if text := must(os.ReadFile(name)); string(text) != "precious" || len(must(os.ReadDir(dir))) != 1 {
			t.Errorf("file holds %q", text)
		}
	})
	t.Run("file in place of the folder", func(t *testing.T) {
		t.Parallel()
		name := write(t, []byte("precious"))
		if err := certificate.CreateTest(name, certificate.P256, now); !errors.Is(err, fs.ErrExist) {
			t.Errorf("CreateTest = %v, want ErrExist", err)
		}
		if text := must(os.ReadFile(name)); string(text) != "precious" {
			t.Errorf("file holds %q", text)
		}
	})
	t.Run("empty folder", func(t *testing.T) {
		t.Parallel()
		if err := certificate.CreateTest(t.TempDir(), certificate.P256, now); err != nil {
			t.Errorf("CreateTest = %v", err)
		}
	})
	t.Run("unknown key type", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "a")
		if err := certificate.CreateTest(dir, "dsa", now); err == nil || !strings.Contains(err.Error(), `"dsa"`) {
			t.Errorf("CreateTest = %v", err)
		}
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the folder was made: %v", err)
		}
	})
	t.Run("many at once", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "a")
		errs := make([]error, 8)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() { errs[i] = certificate.CreateTest(dir, certificate.P256, now) })
		}
		wg.Wait()
		made := 0
		for _, err := range errs {
			switch {
			case err == nil:
				made++
			case !errors.Is(err, fs.ErrExist):
				t.Errorf("CreateTest = %v, want ErrExist", err)
			}
		}
		if made != 1 {
			t.Errorf("%d of %d made the certificates, want 1", made, len(errs))
		}
		if _, err := certificate.Load(filepath.Join(dir, certificate.CertificateFile), filepath.Join(dir, certificate.KeyFile), now); err != nil {
			t.Error(err)
		}
	})
}
