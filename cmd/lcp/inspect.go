package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/protect"
	"github.com/lcp-tools/lcp/pkg/publication"
)

func newInspectCommand(a *app) *cobra.Command {
	format := formatFlag{value: formatText, allowed: []string{formatText, formatJSON}}
	cmd := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Show what is in a publication, clear or protected",
		Long: `Show what a publication is, what it says of itself, and of every entry whether it
is encrypted, how it is compressed and how long it is. Of a clear publication it
shows what would be encrypted. No key is needed.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := inspect(cmd.Context(), args[0])
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if format.value == formatJSON {
				return encodeJSON(a.out, v, "  ")
			}
			return a.showInspection(v)
		},
	}
	cmd.Flags().Var(&format, "format", "print text or json")
	return cmd
}

// An inspection is what is found in a file.
type inspection struct {
	Format      string            `json:"format"` // such as EPUB 3
	MediaType   string            `json:"media_type"`
	Protected   bool              `json:"protected"`
	Title       string            `json:"title"`
	Authors     []string          `json:"authors,omitempty"`
	Publishers  []string          `json:"publishers,omitempty"`
	Languages   []string          `json:"languages,omitempty"`
	Identifiers []string          `json:"identifiers,omitempty"`
	Published   string            `json:"published,omitempty"`
	Pages       int               `json:"number_of_pages,omitempty"`
	Duration    float64           `json:"duration,omitempty"` // seconds
	License     *inspectedLicense `json:"license,omitempty"`
	Entries     []inspectedEntry  `json:"entries"`
	Warnings    []string          `json:"warnings,omitempty"`
}

type inspectedLicense struct {
	ID        string     `json:"id"`
	Provider  string     `json:"provider"`
	Profile   string     `json:"profile"`
	Issued    time.Time  `json:"issued"`
	End       *time.Time `json:"end,omitempty"`
	Signature string     `json:"signature"` // valid, or what is wrong with it
}

type inspectedEntry struct {
	Name           string `json:"name"`
	MediaType      string `json:"media_type,omitempty"`
	Size           int64  `json:"size"`                 // bytes in the package
	Encryption     string `json:"encryption,omitempty"` // lcp, planned, or the algorithm of another kind
	Compression    string `json:"compression"`          // of the entry, or before encryption: deflate or none
	OriginalLength int64  `json:"original_length"`      // bytes, before compression and encryption; -1 if unknown
}

// inspect opens a file as a publication to protect, and where it is one that is
// protected, as that.
func inspect(ctx context.Context, name string) (*inspection, error) {
	src, err := protect.Recognition{}.Open(ctx, name)
	switch {
	case err == nil:
		defer src.Close()
		return inspectSource(src), nil
	case !errors.Is(err, publication.ErrProtectedLCP) && !errors.Is(err, publication.ErrProtected):
		return nil, err
	}
	pkg, err := protect.OpenPackage(name)
	if err != nil {
		return nil, err
	}
	defer pkg.Close()
	return inspectPackage(pkg)
}

func inspectSource(src *protect.Source) *inspection {
	plan := src.Plan
	v := describe(plan.Metadata)
	v.Format, v.MediaType, v.Warnings = plan.Source, plan.Format.MediaType, plan.Warnings
	for i := range plan.Parts {
		part := &plan.Parts[i]
		e := inspectedEntry{Name: part.Name, MediaType: part.MediaType, Size: part.Size(), Compression: "none", OriginalLength: part.Size()}
		if part.Entry != nil {
			e.Size, e.Compression = part.Entry.CompressedSize, compressionName(part.Entry.Method != 0)
		}
		if part.Declaration && part.Entry == nil {
			continue // does not exist yet
		}
		if part.Encrypt() {
			e.Encryption, e.Compression = "planned", compressionName(part.Compress())
		}
		v.Entries = append(v.Entries, e)
	}
	return v
}

func inspectPackage(pkg *protect.Package) (*inspection, error) {
	v := describe(pkg.Metadata)
	v.Format, v.MediaType, v.Protected, v.Warnings = pkg.Source, pkg.Format.MediaType, pkg.Protected, pkg.Warnings
	for _, entry := range pkg.Archive.Entries {
		e := inspectedEntry{
			Name: entry.Name, MediaType: pkg.MediaType(entry.Name), Size: entry.CompressedSize,
			Compression: compressionName(entry.Method != 0), OriginalLength: entry.Size,
		}
		if enc, ok := pkg.Encrypted[entry.Name]; ok {
			e.Encryption = encryptionName(enc)
			e.Compression, e.OriginalLength = compressionName(enc.Deflated), enc.OriginalLength
		}
		v.Entries = append(v.Entries, e)
	}
	data, err := pkg.LicenseDocument()
	if err != nil || data == nil {
		return v, err
	}
	doc, err := license.Parse(data)
	if err != nil {
		v.Warnings = append(v.Warnings, fmt.Sprintf("embedded license: %v", err))
		return v, nil
	}
	v.License = inspectLicense(doc)
	return v, nil
}

func inspectLicense(doc *license.Document) *inspectedLicense {
	l := &inspectedLicense{
		ID: doc.ID, Provider: doc.Provider, Profile: doc.Encryption.Profile, Issued: doc.Issued, End: doc.Rights.End,
		Signature: "valid",
	}
	if _, err := doc.Verify(nil); err != nil {
		l.Signature = err.Error()
	}
	return l
}

// describe takes over what a publication says of itself.
func describe(m publication.Metadata) *inspection {
	return &inspection{
		Title: m.Title, Authors: m.Authors, Publishers: m.Publishers, Languages: m.Languages,
		Identifiers: m.Identifiers, Published: m.Published, Pages: m.NumberOfPages, Duration: m.Duration,
	}
}

func compressionName(deflated bool) string {
	if deflated {
		return "deflate"
	}
	return "none"
}

// encryptionName says by what an entry is encrypted.
func encryptionName(enc publication.Encrypted) string {
	if enc.Scheme == publication.Scheme {
		return "lcp"
	}
	return cmp.Or(enc.Scheme, enc.Algorithm)
}

func (a *app) showInspection(v *inspection) error {
	w := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
	state := "clear"
	if v.Protected {
		state = "protected with LCP"
	}
	fmt.Fprintf(w, "Format\t%s (%s), %s\n", v.Format, v.MediaType, state)
	fmt.Fprintf(w, "Title\t%s\n", v.Title)
	for _, row := range []struct {
		label  string
		values []string
	}{{"Authors", v.Authors}, {"Publishers", v.Publishers}, {"Languages", v.Languages}, {"Identifiers", v.Identifiers}, {"Warnings", v.Warnings}} {
		for i, value := range row.values {
			if i > 0 {
				row.label = ""
			}
			fmt.Fprintf(w, "%s\t%s\n", row.label, value)
		}
	}
	if v.Pages > 0 {
		fmt.Fprintf(w, "Pages\t%d\n", v.Pages)
	}
	if l := v.License; l != nil {
		fmt.Fprintf(w, "License\t%s\n\tof %s, profile %s, issued %s\n\tsignature %s\n",
			l.ID, l.Provider, l.Profile, l.Issued.Format(time.RFC3339), l.Signature)
	}
	fmt.Fprintf(w, "\nENTRY\tTYPE\tENCRYPTION\tCOMPRESSION\tSIZE\tORIGINAL\n")
	for _, e := range v.Entries {
		encryption := e.Encryption
		if encryption == "" {
			encryption = "clear"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\n", e.Name, e.MediaType, encryption, e.Compression, e.Size, e.OriginalLength)
	}
	return w.Flush()
}
