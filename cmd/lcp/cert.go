package main

import (
	"crypto/x509"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/lcp-tools/lcp/pkg/certificate"
)

func newCertCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "cert", Short: "Make and show the provider's certificate", Args: cobra.NoArgs}
	cmd.AddCommand(newCertInitCommand(a), newCertShowCommand(a))
	return cmd
}

func newCertInitCommand(a *app) *cobra.Command {
	var dir string
	keyType := formatFlag{value: string(certificate.RSA2048), allowed: []string{string(certificate.RSA2048), string(certificate.P256)}}
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make a certificate for tests",
		Long: `Make a test authority and a provider certificate under it, both plainly marked as
TEST. Reading apps in production accept only certificates issued by EDRLab; put
yours into the configuration (certificate.cert, certificate.private_key).

Nothing is ever overwritten.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if dir == "" {
				c, err := a.config()
				if err != nil {
					return err
				}
				if err := makeDataDir(c.DataDir); err != nil {
					return err
				}
				dir = filepath.Join(c.DataDir, testCertDir)
			}
			if err := certificate.CreateTest(dir, certificate.KeyType(keyType.value), time.Now()); err != nil {
				return fmt.Errorf("make a test certificate: %w", err)
			}
			for _, name := range []string{certificate.RootFile, certificate.CertificateFile, certificate.KeyFile} {
				fmt.Fprintln(a.out, filepath.Join(dir, name))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "write the files into `DIR` (default: in the data directory, where they are used)")
	cmd.Flags().Var(&keyType, "key-type", "make an rsa or an ecdsa key")
	return cmd
}

func newCertShowCommand(a *app) *cobra.Command {
	format := formatFlag{value: formatText, allowed: []string{formatText, formatJSON}}
	cmd := &cobra.Command{
		Use:   "show [FILE]",
		Short: "Show the certificate in use, or the one in FILE",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			cert, err := a.certificateToShow(args)
			if err != nil {
				return err
			}
			return a.showCertificate(cert, format.value)
		},
	}
	cmd.Flags().Var(&format, "format", "print text or json")
	return cmd
}

func (a *app) certificateToShow(args []string) (*x509.Certificate, error) {
	if len(args) == 1 {
		chain, err := certificate.Read(args[0])
		if err != nil {
			return nil, err
		}
		return chain[0], nil
	}
	c, err := a.config()
	if err != nil {
		return nil, err
	}
	pair, err := a.provider(c)
	if err != nil {
		return nil, err
	}
	return pair.Certificate, nil
}

func (a *app) showCertificate(cert *x509.Certificate, format string) error {
	d := certificate.Describe(cert)
	if format == formatJSON {
		return encodeJSON(a.out, d, "  ")
	}
	use := "for production, if its issuer is the license authority"
	if d.Test {
		use = "for TESTS only"
	}
	_, err := fmt.Fprintf(a.out, "Subject      %s\nIssuer       %s\nSerial       %s\nValid        %s to %s\nKey          %s\nFingerprint  %s\nUse          %s\n",
		d.Subject, d.Issuer, d.Serial, d.NotBefore.Format(time.RFC3339), d.NotAfter.Format(time.RFC3339), d.KeyType, d.Fingerprint, use)
	if err == nil {
		if verr := certificate.CheckValidity(cert, time.Now()); verr != nil {
			return verr
		}
		if w := certificate.ExpiryWarning(cert, time.Now()); w != "" {
			a.notef("warning: %s", w)
		}
	}
	return err
}
