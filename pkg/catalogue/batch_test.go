package catalogue_test

import (
	"context"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/blob"
	"github.com/lcp-tools/lcp/pkg/catalogue"
)

// sequence gives items, and then an error unless it is nil.
func sequence(last error, items ...catalogue.Item) iter.Seq2[catalogue.Item, error] {
	return func(yield func(catalogue.Item, error) bool) {
		for _, i := range items {
			if !yield(i, nil) {
				return
			}
		}
		if last != nil {
			yield(catalogue.Item{}, last)
		}
	}
}

func collect(t *testing.T, items iter.Seq2[catalogue.Item, error]) ([]catalogue.Item, error) {
	t.Helper()
	var list []catalogue.Item
	for item, err := range items {
		if err != nil {
			return list, err
		}
		list = append(list, item)
	}
	return list, nil
}

// Whatever is listed, failing items included, is told once, and never more than
// so many are in work.
func TestBatchRunsAll(t *testing.T) {
	t.Parallel()
	const jobs = 3
	w := newWorker(t, nil)
	w.DryRun = true
	good := sampleFile(t, "sample.epub")
	var items []catalogue.Item
	for i := range 30 {
		item := catalogue.Item{Input: good, UUID: strconv.Itoa(i)}
		if i%3 == 0 {
			item.Fault = "unreadable"
		}
		items = append(items, item)
	}
	var inWork, most atomic.Int32
	var told []string
	b := catalogue.Batch{Worker: *w, Jobs: jobs}
	b.Worker.Now = func() time.Time { return time.Time{} }
	sum, err := b.Run(t.Context(), sequence(nil, items...), catalogue.Watcher{
		Begin: func(job int, _ catalogue.Item) catalogue.Progress {
			if n := inWork.Add(1); n > most.Load() {
				most.Store(n)
			}
			if job < 0 || job >= jobs {
				t.Errorf("job %d", job)
			}
			return catalogue.Progress{}
		},
		End: func(_ int, rec catalogue.Record, err error) {
			inWork.Add(-1)
			told = append(told, rec.UUID)
			if (err != nil) != (rec.Error == "unreadable") {
				t.Errorf("%v, record %+v", err, rec)
			}
		},
	})
	if err != nil || sum != (catalogue.Summary{Done: 20, Failed: 10}) || len(told) != 30 || most.Load() > jobs {
		t.Errorf("Run = %+v, %v; told of %d, %d at once", sum, err, len(told), most.Load())
	}
	slices.Sort(told)
	if len(slices.Compact(told)) != 30 {
		t.Errorf("told of %q", told)
	}
}

// A batch ends early when too many fail, when it is interrupted, and when its
// list does.
func TestBatchEnds(t *testing.T) {
	t.Parallel()
	errList := errors.New("the list ends")
	tests := map[string]struct {
		failures  int
		interrupt bool
		last      error
		want      catalogue.Summary
		err       error
	}{
		"no limit":        {want: catalogue.Summary{Failed: 5}},
		"first failure":   {failures: 1, want: catalogue.Summary{Failed: 1, GaveUp: true}},
		"third failure":   {failures: 3, want: catalogue.Summary{Failed: 3, GaveUp: true}},
		"beyond the list": {failures: 9, want: catalogue.Summary{Failed: 5}},
		"interrupted":     {interrupt: true, want: catalogue.Summary{Failed: 1}, err: context.Canceled},
		"list":            {last: errList, want: catalogue.Summary{Failed: 5}, err: errList},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			bad := catalogue.Item{Fault: "unreadable"}
			b := catalogue.Batch{Worker: *newWorker(t, nil), Jobs: 1, MaxFailures: tt.failures}
			sum, err := b.Run(ctx, sequence(tt.last, bad, bad, bad, bad, bad), catalogue.Watcher{
				End: func(int, catalogue.Record, error) {
					if tt.interrupt {
						cancel()
					}
				},
			})
			if sum != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("Run = %+v, %v, want %+v, %v", sum, err, tt.want, tt.err)
			}
		})
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	const otherID = "99999999-2222-4333-8444-555555555555"
	items := []catalogue.Item{
		{Input: "a.epub", UUID: someID, AltID: "a", Title: "A", Provider: "https://p.example", KeyFile: "k", FileName: "a"},
		{Input: "a.epub", UUID: otherID},
		{Input: "locked", Fault: "open: permission denied"},
		{Input: "b.pdf", FileName: "b.lcpdf"},
	}
	p, err := catalogue.NewPlan(sequence(nil, items...))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for range 2 { // it can be read more than once
		got, err := collect(t, p.Items())
		if diff := cmp.Diff(items, got); diff != "" || err != nil || p.Len() != 4 {
			t.Errorf("%d items (-want +got):\n%s%v", p.Len(), diff, err)
		}
	}
}

func TestPlanRefuses(t *testing.T) {
	t.Parallel()
	errList := errors.New("the list ends")
	tests := map[string]struct {
		items []catalogue.Item
		last  error
		want  string
	}{
		"uuid in other letters": {
			[]catalogue.Item{{Input: "a", UUID: "abcdefab-2222-4333-8444-555555555555"}, {Input: "x"}, {Input: "b", UUID: "ABCDEFAB-2222-4333-8444-555555555555"}},
			nil,
			`a and b have the same uuid "abcdefab-2222-4333-8444-555555555555"`,
		},
		"alternative identifier": {[]catalogue.Item{{Input: "a", AltID: "1"}, {Input: "b", AltID: "1"}}, nil, `a and b have the same alternative identifier "1"`},
		"file name":              {[]catalogue.Item{{Input: "a", FileName: "n"}, {Input: "b", FileName: "n.lcpa"}}, nil, `a and b have the same file name "n.lcpa"`},
		"uuid as a name":         {[]catalogue.Item{{Input: "a", UUID: someID}, {Input: "b", FileName: someID + ".epub"}}, nil, `a and b have the same file name "` + someID + `.epub"`},
		"the same":               {[]catalogue.Item{{Input: "x/../a"}, {Input: "a"}}, nil, "a is there twice"},
		"list":                   {[]catalogue.Item{{Input: "a"}}, errList, errList.Error()},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := catalogue.NewPlan(sequence(tt.last, tt.items...)); err == nil || err.Error() != tt.want {
				t.Errorf("NewPlan = %v, want %s", err, tt.want)
			}
		})
	}
}

func TestReadList(t *testing.T) {
	t.Parallel()
	full := catalogue.Item{Input: "a.epub", UUID: someID, AltID: "1", Title: "A, B", Provider: "p", KeyFile: "k", FileName: "n"}
	tests := map[string]struct {
		text string
		want []catalogue.Item
		err  string // in the error; "" for none
	}{
		"empty":            {"", nil, ""},
		"all columns":      {"input,uuid,alt_id,title,provider,key_file,file_name\na.epub," + someID + `,1,"A, B",p,k,n` + "\n", []catalogue.Item{full}, ""},
		"mark, semicolons": {"\xef\xbb\xbftitle; input\nx,y;a.epub\n", []catalogue.Item{{Input: "a.epub", Title: "x,y"}}, ""},
		"objects": {
			`{"input":"a.epub","uuid":"` + someID + `","alt_id":"1","title":"A, B","provider":"p","key_file":"k","file_name":"n"}` + "\n\n" + `{"input":"b"}`,
			[]catalogue.Item{full, {Input: "b"}},
			"",
		},
		"unknown column":    {"input,isbn\n", nil, `"isbn" is not one`},
		"column twice":      {"input,input\n", nil, "is there twice"},
		"no input column":   {"title\nx\n", nil, `"input" is missing`},
		"no input":          {"input,title\na,b\n,x\n", []catalogue.Item{{Input: "a", Title: "b"}}, "line 3: input is missing"},
		"cells missing":     {"input,title\na\n", nil, "line 2: wrong number of cells: 1 under 2 columns"},
		"no uuid":           {"input,uuid\na,1\n", nil, `line 2: a: uuid "1" is not a UUID`},
		"name of a cover":   {"input,file_name\na,b.cover.jpg\n", nil, "line 2: a: file_name: "},
		"name steps out":    {"input,file_name\na,../b\n", nil, "line 2: a: file_name: "},
		"unknown member":    {`{"input":"a"}` + "\n" + `{"input":"a","isbn":1}`, []catalogue.Item{{Input: "a"}}, "line 2: "},
		"member is no uuid": {"\n" + `{"input":"a","uuid":"1"}`, nil, `line 2: a: uuid "1" is not a UUID`},
		"two on a line":     {`{"input":"a"} {"input":"b"}`, nil, "line 1: more than one"},
		"long line":         {`{"input":"` + strings.Repeat("a", 2<<20), nil, "line 1: "},
		"long row":          {"input\n\"" + strings.Repeat("a", 2<<20), nil, "a row of more than"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := collect(t, catalogue.ReadList(strings.NewReader(tt.text)))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("items (-want +got):\n%s", diff)
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error is %v, want %q in it", err, tt.err)
			}
		})
	}
}

// Whatever a list holds, items come out that can be carried out, or an error and
// nothing more.
func FuzzReadList(f *testing.F) {
	f.Add("input,uuid\na," + someID + "\n")
	f.Add(`{"input":"a","file_name":"b"}`)
	f.Add("\xef\xbb\xbfinput;title\n\"a\nb\";c\n")
	f.Fuzz(func(t *testing.T, text string) {
		failed := false
		for item, err := range catalogue.ReadList(strings.NewReader(text)) {
			if failed {
				t.Fatal("more comes after an error")
			}
			failed = err != nil
			if err == nil && (item.Input == "" || item.FileName != "" && blob.CheckName(item.FileName) != nil) {
				t.Fatalf("item %+v", item)
			}
		}
	})
}

func TestFind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"a.epub", "b.txt", ".c.epub", "deep/d.pdf", "deep/deeper/e.epub", ".hidden/f.epub", "out/g.epub"} {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "out")
	tests := map[string]struct {
		finder catalogue.Finder
		input  string
		want   []string
		err    error
	}{
		"folder":             {catalogue.Finder{}, "", []string{"a.epub"}, nil},
		"below":              {catalogue.Finder{Recursive: true, Out: out}, "", []string{"a.epub", "deep/d.pdf", "deep/deeper/e.epub"}, nil},
		"included":           {catalogue.Finder{Include: []string{"*.txt"}}, "", []string{"b.txt"}, nil},
		"included by path":   {catalogue.Finder{Recursive: true, Include: []string{"deep/*/*"}}, "", []string{"deep/deeper/e.epub"}, nil},
		"excluded":           {catalogue.Finder{Recursive: true, Out: out, Exclude: []string{"a.*", "deep/deeper"}}, "", []string{"deep/d.pdf"}, nil},
		"the output itself":  {catalogue.Finder{Out: out}, "out", []string{"out/g.epub"}, nil},
		"pattern":            {catalogue.Finder{}, "*", []string{"a.epub", "b.txt", "deep/d.pdf", "out/g.epub"}, nil},
		"nothing matches":    {catalogue.Finder{}, "*.lpf", nil, catalogue.ErrNoMatch},
		"not a pattern":      {catalogue.Finder{}, "[", nil, catalogue.ErrPattern},
		"any depth":          {catalogue.Finder{}, "**/*.epub", nil, catalogue.ErrPattern},
		"what is not there":  {catalogue.Finder{}, "x.epub", []string{"x.epub"}, nil},
		"a file of any name": {catalogue.Finder{}, "b.txt", []string{"b.txt"}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			items, err := collect(t, tt.finder.Find(t.Context(), filepath.Join(dir, tt.input)))
			var got []string
			for _, i := range items {
				rel, _ := filepath.Rel(dir, i.Input)
				got = append(got, filepath.ToSlash(rel))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || !errors.Is(err, tt.err) {
				t.Errorf("found (-want +got):\n%s%v", diff, err)
			}
		})
	}
	for _, pattern := range []string{"[", "a/**/b"} {
		if f := (catalogue.Finder{Exclude: []string{pattern}}); !errors.Is(f.Check(), catalogue.ErrPattern) {
			t.Errorf("Check of %q = %v", pattern, f.Check())
		}
	}
}

// A folder that cannot be read is a failure of its own.
func TestFindUnreadableFolder(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" || os.Getuid() == 0 {
		t.Skip("no folder is closed to this user")
	}
	dir := t.TempDir()
	locked := filepath.Join(dir, "locked")
	if err := os.Mkdir(locked, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "z.epub"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	items, err := collect(t, (&catalogue.Finder{Recursive: true}).Find(t.Context(), dir))
	if err != nil || len(items) != 2 || items[0].Fault == "" || items[1].Fault != "" {
		t.Errorf("found %+v, %v", items, err)
	}
}

// A server that is gone for a minute ends a batch; one that is back by then does
// not, nor do failures of another kind.
func TestBatchGivesUpOnServers(t *testing.T) {
	t.Parallel()
	const gone, other, done = "gone", "other", "done"
	for name, tt := range map[string]struct {
		items []string // what becomes of them, half a minute each
		want  catalogue.Summary
	}{
		"gone":          {[]string{done, gone, gone, gone, gone}, catalogue.Summary{Done: 1, Failed: 3, GaveUp: true}},
		"back in time":  {[]string{gone, gone, done, gone, gone}, catalogue.Summary{Done: 1, Failed: 4}},
		"bad books too": {[]string{gone, other, gone, done, done}, catalogue.Summary{Failed: 3, GaveUp: true}},
		"bad books":     {[]string{other, other, other, other, done}, catalogue.Summary{Done: 1, Failed: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorker(t, nil)
			w.DryRun = true
			var elapsed time.Duration
			w.Now = func() time.Time { return time.Time{}.Add(time.Hour + elapsed) }
			var items []catalogue.Item
			for _, what := range tt.items {
				item := catalogue.Item{Input: sampleFile(t, "sample.epub"), Fault: what}
				if what == done {
					item.Fault = ""
				}
				items = append(items, item)
			}
			b := catalogue.Batch{Worker: *w, Jobs: 1, Gone: func(err error) bool { return strings.Contains(err.Error(), gone) }}
			sum, err := b.Run(t.Context(), sequence(nil, items...), catalogue.Watcher{
				End: func(int, catalogue.Record, error) { elapsed += 30 * time.Second },
			})
			if err != nil || sum != tt.want {
				t.Errorf("Run = %+v, %v, want %+v", sum, err, tt.want)
			}
		})
	}
}
