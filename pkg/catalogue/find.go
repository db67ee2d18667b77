package catalogue

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/lcp-tools/lcp/pkg/blob/s3blob"
	"github.com/lcp-tools/lcp/pkg/publication"
)

var (
	// ErrPattern is returned for a pattern that is none.
	ErrPattern = errors.New("not a pattern")
	// ErrNoMatch is returned for a pattern that no file matches.
	ErrNoMatch = errors.New("no file matches")
)

// A Finder finds publications in file systems.
type Finder struct {
	Recursive bool // in the folders below a folder, too

	// Include and Exclude are patterns as of path.Match. One without a slash
	// is for the name of a file, another for its path in the folder that is
	// searched. Excluded folders are not searched. Without Include, files
	// are taken that have an extension of publications.
	Include, Exclude []string

	// Out is the folder, or s3://bucket/prefix, that output goes to, which is not
	// searched; "" for none.
	Out string

	// Bucket opens a bucket; nil where none is searched.
	Bucket func(ctx context.Context, name string) (*s3blob.Store, error)
}

// Check returns an ErrPattern if one of the patterns is none.
func (f *Finder) Check() error {
	for _, pattern := range append(append([]string{}, f.Include...), f.Exclude...) {
		if err := checkPattern(pattern); err != nil {
			return err
		}
	}
	return nil
}

// checkPattern refuses **, which elsewhere stands for folders of any depth, and
// here would silently match less.
func checkPattern(pattern string) error {
	if _, err := path.Match(pattern, ""); err != nil {
		return fmt.Errorf("%w: %q", ErrPattern, pattern)
	}
	if strings.Contains(pattern, "**") {
		return fmt.Errorf("%w: %q: ** is not known: name the folder, with --recursive", ErrPattern, pattern)
	}
	return nil
}

// Find turns what a user names into inputs: a folder into the publications in
// it, a pattern into what it matches, as a shell does. Whatever else there is,
// or is not, is an input of its own: it may fail, and others go on. So is a
// folder that cannot be read. s3://bucket/prefix/ is a folder in a bucket.
func (f *Finder) Find(ctx context.Context, name string) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		info, err := os.Stat(name)
		switch {
		case IsObject(name) && isPrefix(name):
			f.prefix(ctx, name, yield)
		case IsURL(name) || IsObject(name):
			yield(Item{Input: name}, nil)
		case err == nil && info.IsDir():
			f.folder(name, yield)
		case err != nil && strings.ContainsAny(name, "*?["):
			f.pattern(name, yield)
		default:
			yield(Item{Input: name}, nil)
		}
	}
}

// isPrefix reports whether an address is that of a folder in a bucket, or of a
// bucket.
func isPrefix(name string) bool {
	return strings.HasSuffix(name, "/") || !strings.Contains(strings.TrimPrefix(name, "s3://"), "/")
}

// prefix lists the publications in a folder of a bucket, by the rules for folders.
func (f *Finder) prefix(ctx context.Context, name string, yield func(Item, error) bool) {
	bucket, prefix, err := s3blob.ParseURL(name)
	if err != nil {
		yield(Item{}, err)
		return
	}
	s, err := f.Bucket(ctx, bucket)
	if err != nil {
		yield(Item{}, err)
		return
	}
	for o, err := range s.List(ctx, prefix, f.Recursive) {
		if err != nil {
			yield(Item{}, err)
			return
		}
		input := "s3://" + bucket + "/" + o.Key
		if f.takesObject(prefix, o.Key) && !f.isBelowOut(name, input) && !yield(Item{Input: input}, nil) {
			return
		}
	}
}

// takesObject reports whether a key below a prefix is of a publication that is
// taken.
func (f *Finder) takesObject(prefix, key string) bool {
	folders := strings.Split(strings.TrimPrefix(key, prefix), "/")
	folders = folders[:len(folders)-1]
	dir := prefix
	for _, folder := range folders {
		if dir += folder; isHidden(folder) || matchesAny(f.Exclude, prefix, dir) {
			return false
		}
		dir += "/"
	}
	return !strings.HasSuffix(key, "/") && f.takes(prefix, key)
}

// isBelowOut reports whether an input is where output goes to, in a folder below
// the one that is searched.
func (f *Finder) isBelowOut(searched, input string) bool {
	out := strings.TrimSuffix(f.Out, "/") + "/"
	return IsObject(f.Out) && len(out) > len(searched) && strings.HasPrefix(out, searched) && strings.HasPrefix(input, out)
}

// pattern lists what matches: what is hidden only where the pattern says so.
func (f *Finder) pattern(pattern string, yield func(Item, error) bool) {
	err := checkPattern(filepath.ToSlash(pattern))
	var matches []string
	if err == nil {
		matches, err = filepath.Glob(pattern)
	}
	if err != nil {
		yield(Item{}, err)
		return
	}
	found := false
	for _, name := range matches {
		if isHidden(filepath.Base(name)) && !isHidden(filepath.Base(pattern)) {
			continue
		}
		found = true
		if info, err := os.Stat(name); err == nil && info.IsDir() {
			if !f.folder(name, yield) {
				return
			}
			continue
		}
		if !yield(Item{Input: name}, nil) {
			return
		}
	}
	if !found {
		yield(Item{}, fmt.Errorf("%w %q", ErrNoMatch, pattern))
	}
}

func isHidden(name string) bool { return strings.HasPrefix(name, ".") }

// folder lists the publications in a folder. It passes over what is hidden and,
// below the folder, what an earlier run put out. It reports whether to go on.
func (f *Finder) folder(dir string, yield func(Item, error) bool) bool {
	root := withSeparator(dir) // a link to a folder is one, too
	goOn := true
	_ = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			goOn = yield(Item{Input: name, Fault: pathless(err).Error()}, nil)
			if d != nil && d.IsDir() && goOn {
				return fs.SkipDir
			}
		case d.IsDir() && name != root && (!f.Recursive || f.Skips(dir, name)):
			return fs.SkipDir
		case !d.IsDir() && f.Takes(dir, name):
			goOn = yield(Item{Input: name}, nil)
		}
		if !goOn {
			return fs.SkipAll
		}
		return nil
	})
	return goOn
}

func withSeparator(dir string) string {
	return strings.TrimSuffix(dir, string(filepath.Separator)) + string(filepath.Separator)
}

// Skips reports whether a folder below the one that is searched is passed over.
func (f *Finder) Skips(dir, name string) bool {
	return isHidden(filepath.Base(name)) || f.isOut(name) || matchesAny(f.Exclude, withSeparator(dir), name)
}

// Takes reports whether a file is taken that is in the folder that is searched, or
// below.
func (f *Finder) Takes(dir, name string) bool { return f.takes(withSeparator(dir), name) }

func (f *Finder) takes(root, name string) bool {
	base := filepath.Base(name)
	switch {
	case isHidden(base) || matchesAny(f.Exclude, root, name):
		return false
	case len(f.Include) > 0:
		return matchesAny(f.Include, root, name)
	default:
		return publication.IsInputName(base)
	}
}

func (f *Finder) isOut(name string) bool {
	if f.Out == "" || IsObject(f.Out) {
		return false
	}
	a, aerr := os.Stat(name)
	b, berr := os.Stat(f.Out)
	return aerr == nil && berr == nil && os.SameFile(a, b)
}

// matchesAny reports whether one of the patterns is for the file.
func matchesAny(patterns []string, root, name string) bool {
	for _, pattern := range patterns {
		subject := filepath.Base(name)
		if strings.Contains(pattern, "/") {
			subject = filepath.ToSlash(strings.TrimPrefix(name, root))
		}
		if ok, err := path.Match(pattern, subject); ok && err == nil {
			return true
		}
	}
	return false
}
