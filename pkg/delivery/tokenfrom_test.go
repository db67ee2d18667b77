package delivery_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/lcp-tools/lcp/pkg/delivery"
)

func TestTokenFrom(t *testing.T) {
	t.Parallel()
	const header, bearer = "x-dt-auth-token: ", "Authorization: Bearer "
	tests := map[string]struct {
		query   string
		headers []string // "name: value"
		token   string
		want    delivery.Reason
	}{
		"none":                            {},
		"header":                          {headers: []string{header + "a.b.c"}, token: "a.b.c"},
		"header in another case":          {headers: []string{"X-DT-AUTH-TOKEN: a.b.c"}, token: "a.b.c"},
		"bearer":                          {headers: []string{bearer + "a.b.c"}, token: "a.b.c"},
		"bearer in another case":          {headers: []string{"authorization: BEARER  a.b.c"}, token: "a.b.c"},
		"link":                            {query: "?token=a.b.c", token: "a.b.c"},
		"basic authorization is no token": {headers: []string{"Authorization: Basic dTpw"}},
		"other parameters are none":       {query: "?Token=a&x=y"},

		"header twice":               {headers: []string{header + "a.b.c", header + "d.e.f"}, want: delivery.SeveralTokens},
		"header twice, equal":        {headers: []string{header + "a.b.c", header + "a.b.c"}, want: delivery.SeveralTokens},
		"header with a list":         {headers: []string{header + "a.b.c, a.b.c"}, want: delivery.SeveralTokens},
		"header and bearer":          {headers: []string{header + "a.b.c", bearer + "a.b.c"}, want: delivery.SeveralTokens},
		"header and link":            {query: "?token=a.b.c", headers: []string{header + "a.b.c"}, want: delivery.SeveralTokens},
		"bearer and link":            {query: "?token=a.b.c", headers: []string{bearer + "a.b.c"}, want: delivery.SeveralTokens},
		"bearer twice":               {headers: []string{bearer + "a.b.c", bearer + "d.e.f"}, want: delivery.SeveralTokens},
		"bearer with a list":         {headers: []string{bearer + "a.b.c, Bearer d.e.f"}, want: delivery.SeveralTokens},
		"link twice":                 {query: "?token=a.b.c&token=a.b.c", want: delivery.SeveralTokens},
		"a token and an empty one":   {headers: []string{header + "a.b.c", header}, want: delivery.SeveralTokens},
		"header without a value":     {headers: []string{header}, want: delivery.MalformedToken},
		"bearer without a value":     {headers: []string{"Authorization: Bearer"}, want: delivery.MalformedToken},
		"link without a value":       {query: "?token=", want: delivery.MalformedToken},
		"query that is none":         {query: "?token=a.b.c&x=%zz", want: delivery.MalformedRequest},
		"query with another divider": {query: "?x=y;token=a.b.c", want: delivery.MalformedRequest},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("GET", "/gateway/licenses/x"+tt.query, nil)
			for _, h := range tt.headers {
				name, value, _ := strings.Cut(h, ": ")
				r.Header.Add(name, value)
			}
			token, err := delivery.TokenFrom(r)
			if token.Text() != tt.token || delivery.ReasonOf(err) != tt.want {
				t.Errorf("TokenFrom = %q, %v, want %q, %q", token.Text(), err, tt.token, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "a.b.c") {
				t.Errorf("the error shows the token: %v", err)
			}
		})
	}
}
