package delivery_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/lcp-tools/lcp/pkg/delivery"
)

// Design and documentation name the same problem types with the same status.
func TestReasonsAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[delivery.Reason]bool{}
	for _, r := range delivery.Reasons() {
		if seen[r] {
			t.Errorf("%s is there twice", r)
		}
		seen[r] = true
		heading := fmt.Sprintf("\n### %s\n\n%d · %s\n", r, r.Status(), r.Title())
		if !strings.Contains(string(page), heading) {
			t.Errorf("docs/errors.md lacks %q", heading)
		}
		if !strings.HasSuffix(r.Type(), "/docs/errors.md#"+string(r)) {
			t.Errorf("type %s", r.Type())
		}
	}
	if n := strings.Count(string(page), "\n### "); n < len(seen) {
		t.Errorf("%d headings for %d reasons", n, len(seen))
	}
	if s := delivery.Reason("other").Status(); s != http.StatusInternalServerError {
		t.Errorf("status of an unknown reason = %d", s)
	}
}

// RFC 6750 §3: a request without credentials is told of no error.
func TestChallenge(t *testing.T) {
	t.Parallel()
	for reason, want := range map[delivery.Reason]string{
		delivery.MissingToken:  `Bearer realm="lcp"`,
		delivery.ExpiredToken:  `Bearer realm="lcp", error="invalid_token", error_description="The token has expired."`,
		delivery.ReplayedToken: "",
		delivery.SeveralTokens: "",
	} {
		if got := delivery.Refuse(reason, "", nil).Challenge(); got != want {
			t.Errorf("%s: %q, want %q", reason, got, want)
		}
	}
	for _, r := range delivery.Reasons() {
		if has := delivery.Refuse(r, "", nil).Challenge() != ""; has != (r.Status() == http.StatusUnauthorized) {
			t.Errorf("%s: challenge %t", r, has)
		}
	}
}

func TestRefusalError(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	r := delivery.Refuse(delivery.Denied, "detail", cause)
	if got := r.Error(); got != "denied: detail: cause" {
		t.Errorf("Error = %q", got)
	}
	wrapped := fmt.Errorf("wrapped: %w", r)
	if !errors.Is(wrapped, cause) || delivery.ReasonOf(wrapped) != delivery.Denied || delivery.ReasonOf(cause) != "" {
		t.Error("the cause or the reason is lost")
	}
	if got := fmt.Sprint(r.LogValue()); got != "[reason=denied detail=detail cause=cause]" {
		t.Errorf("LogValue = %s", got)
	}
}
