package main

import (
	"strings"
	"testing"
)

// Events as go test -json of Go 1.26 prints them.
const events = `{"Action":"start","Package":"example.org/p"}
{"Action":"run","Package":"example.org/p","Test":"TestGood"}
{"Action":"output","Package":"example.org/p","Test":"TestGood","Output":"=== RUN   TestGood\n"}
{"Action":"pass","Package":"example.org/p","Test":"TestGood","Elapsed":0}
{"Action":"output","Package":"example.org/p","Test":"TestLater","Output":"=== RUN   TestLater\n"}
{"Action":"output","Package":"example.org/p","Test":"TestLater","Output":"    p_test.go:9: node is not installed: nothing to run\n"}
{"Action":"output","Package":"example.org/p","Test":"TestLater","Output":"--- SKIP: TestLater (0.00s)\n"}
{"Action":"skip","Package":"example.org/p","Test":"TestLater","Elapsed":0}
{"Action":"output","Package":"example.org/p","Test":"TestBad","Output":"    p_test.go:5: got 1, want 2\n"}
{"Action":"fail","Package":"example.org/p","Test":"TestBad","Elapsed":0}
{"Action":"output","Package":"example.org/p","Output":"FAIL\n"}
{"Action":"fail","Package":"example.org/p","Elapsed":0.5}
{"ImportPath":"example.org/q","Action":"build-output","Output":"q.go:1:1: expected 'package'\n"}
{"Action":"skip","Package":"example.org/none","Elapsed":0}
{"Action":"pass","Package":"example.org/r","Elapsed":0.25}
not an event
`

func TestReport(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	r := newReport(&out)
	if err := r.read(strings.NewReader(events)); err != nil {
		t.Fatal(err)
	}
	r.summarize()
	for name, want := range map[string]string{
		"reason of a skip":        "skipped 1: node is not installed: nothing to run\n        example.org/p TestLater\n",
		"output of a failed test": "--- in example.org/p\n    p_test.go:5: got 1, want 2\n",
		"failed package":          "FAIL  example.org/p ",
		"package that passed":     "ok    example.org/r ",
		"failed build":            "q.go:1:1: expected 'package'\n",
		"what is not an event":    "not an event\n",
		"totals":                  "1 tests passed, 1 failed, 1 skipped; 1 packages ok, 1 failed\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s: the report lacks %q:\n%s", name, want, out.String())
		}
	}
	if strings.Contains(out.String(), "TestGood") || strings.Contains(out.String(), "example.org/none") {
		t.Errorf("the report names what needs no attention:\n%s", out.String())
	}
}
