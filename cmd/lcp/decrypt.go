package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/protect"
	"github.com/lcp-tools/lcp/pkg/publication"
	"github.com/lcp-tools/lcp/pkg/store"
)

// decryptOptions are the flags of lcp decrypt.
type decryptOptions struct {
	out            string
	licenseFile    string
	passphraseFile string
	keyFile        string
}

func newDecryptCommand(a *app) *cobra.Command {
	var o decryptOptions
	cmd := &cobra.Command{
		Use:   "decrypt FILE",
		Short: "Turn a protected publication back into a clear one",
		Long: `Turn a protected publication back into a clear one, to check or to recover it.

The content key comes from a license (in FILE or from --license) and its
passphrase, from --key-file, or else from the local store. An .lcpdf becomes a
PDF again if CLEAR ends in .pdf, and a Readium package otherwise.`,
		Example: `  lcp decrypt shelf/ID.epub --out clear.epub
  lcp decrypt book.epub --out clear.epub --license book.lcpl --passphrase-file p`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.out == "" {
				return usagef("--out is missing")
			}
			if err := a.decrypt(cmd.Context(), args[0], o); err != nil {
				return fmt.Errorf("decrypt %s: %w", args[0], err)
			}
			a.notef("%s -> %s", args[0], o.out)
			return nil
		},
	}
	fs := cmd.Flags()
	fs.StringVarP(&o.out, "out", "o", "", "write the clear publication to `CLEAR`")
	fs.StringVar(&o.licenseFile, "license", "", "take the content key from the license in `FILE`")
	fs.StringVar(&o.passphraseFile, "passphrase-file", "", "read the license's passphrase from `FILE` (else LCP_PASSPHRASE, or a prompt)")
	fs.StringVar(&o.keyFile, "key-file", "", "read the content key, in base64, from `FILE`")
	return cmd
}

func (a *app) decrypt(ctx context.Context, name string, o decryptOptions) error {
	if same(name, o.out) {
		return usagef("--out is the input itself")
	}
	pkg, err := protect.OpenPackage(name)
	if err != nil {
		return err
	}
	defer pkg.Close()
	if !pkg.Protected {
		return protect.ErrNotProtected
	}
	key, err := a.contentKey(ctx, pkg, name, o)
	if err != nil {
		return err
	}
	if pkg.Format == publication.PDF && strings.EqualFold(filepath.Ext(o.out), ".pdf") {
		return pkg.DecryptPDF(ctx, key, o.out)
	}
	return pkg.Decrypt(ctx, key, o.out)
}

// same reports whether two names are of one file.
func same(a, b string) bool {
	ai, aerr := os.Stat(a)
	bi, berr := os.Stat(b)
	return aerr == nil && berr == nil && os.SameFile(ai, bi)
}

// contentKey finds the key: in a file, a license, or the local store.
func (a *app) contentKey(ctx context.Context, pkg *protect.Package, name string, o decryptOptions) (lcpcrypto.ContentKey, error) {
	if o.keyFile != "" {
		text, err := readSecretFile(o.keyFile)
		if err != nil {
			return lcpcrypto.ContentKey{}, err
		}
		return lcpcrypto.ParseContentKey(text)
	}
	doc, err := a.licenseOf(pkg, o)
	if err != nil {
		return lcpcrypto.ContentKey{}, err
	}
	if doc != nil && (o.licenseFile != "" || o.passphraseFile != "" || os.Getenv("LCP_PASSPHRASE") != "") {
		return a.openLicense(ctx, doc, o.passphraseFile)
	}
	return a.storedKey(ctx, name, doc)
}

// licenseOf is the license of --license or the embedded one, or nil.
func (a *app) licenseOf(pkg *protect.Package, o decryptOptions) (*license.Document, error) {
	if o.licenseFile != "" {
		return readLicense(o.licenseFile)
	}
	data, err := pkg.LicenseDocument()
	if err != nil || data == nil {
		return nil, err
	}
	doc, err := license.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("embedded license: %w", err)
	}
	return doc, nil
}

// openLicense opens a license with its passphrase.
func (a *app) openLicense(ctx context.Context, doc *license.Document, passphraseFile string) (lcpcrypto.ContentKey, error) {
	c, err := a.config()
	if err != nil {
		return lcpcrypto.ContentKey{}, err
	}
	profiles, closeHelper, err := a.profiles(c)
	if err != nil {
		return lcpcrypto.ContentKey{}, err
	}
	defer closeHelper()
	hash, err := a.passphrase(passphraseFile)
	if err != nil {
		return lcpcrypto.ContentKey{}, err
	}
	userKey, err := profiles.UserKey(ctx, doc.Encryption.Profile, hash)
	if err != nil {
		return lcpcrypto.ContentKey{}, err
	}
	opened, err := doc.Open(userKey)
	return opened.ContentKey, err
}

// storedKey looks the publication up in the local store: by its checksum, by the
// uuid it is named by, or by its license.
func (a *app) storedKey(ctx context.Context, name string, doc *license.Document) (lcpcrypto.ContentKey, error) {
	c, err := a.config()
	if err != nil {
		return lcpcrypto.ContentKey{}, err
	}
	records, err := a.openStore(ctx, c)
	if err != nil {
		return lcpcrypto.ContentKey{}, err
	}
	defer records.Close()
	pub, err := findPublication(ctx, records, name, doc)
	if errors.Is(err, store.ErrNotFound) {
		return lcpcrypto.ContentKey{}, &hinted{
			fmt.Errorf("no key for it in the store in %s", c.DataDir),
			"give a license with --license and --passphrase-file, or the key with --key-file",
		}
	}
	return pub.ContentKey, err
}

func findPublication(ctx context.Context, records *store.Store, name string, doc *license.Document) (store.Publication, error) {
	sum, err := fileChecksum(name)
	if err != nil {
		return store.Publication{}, err
	}
	pub, err := records.PublicationByChecksum(ctx, sum)
	if !errors.Is(err, store.ErrNotFound) {
		return pub, err
	}
	base := filepath.Base(name)
	pub, err = records.AnyPublication(ctx, strings.ToLower(strings.TrimSuffix(base, filepath.Ext(base))))
	if !errors.Is(err, store.ErrNotFound) || doc == nil {
		return pub, err
	}
	rec, err := records.License(ctx, doc.ID)
	if err != nil {
		return store.Publication{}, err
	}
	return records.AnyPublication(ctx, rec.PublicationUUID)
}

// fileChecksum returns the SHA-256 of a file in hexadecimal.
func fileChecksum(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
