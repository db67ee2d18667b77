package client

import (
	"context"
	"encoding/json"
	"iter"
	"maps"
	"net/url"
	"strconv"
	"strings"
)

// perPage is how many entries are asked for at once.
const perPage = 100

// pages lists what a call returns, page after page, and asks for each only when
// it is wanted. id tells entries apart: lists are newest first, so that entries
// that come meanwhile push others from one page to the next, where they are left
// out. An error ends the list.
func pages[T any](ctx context.Context, c *Client, r call, id func(*T) string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		seen := map[string]bool{}
		for number := 1; ; number++ {
			list, more, err := page[T](ctx, c, r, number)
			if err != nil {
				var zero T
				yield(zero, err)
				return
			}
			before := seen
			seen = make(map[string]bool, len(list))
			fresh := false
			for i := range list {
				name := id(&list[i])
				seen[name] = true
				if before[name] {
					continue
				}
				fresh = true
				if !yield(list[i], nil) {
					return
				}
			}
			// A page with nothing new comes from a server that knows no pages here.
			if !more || !fresh {
				return
			}
		}
	}
}

// page asks for one page and tells whether there are more. Servers that do not
// say so have more as long as pages are full; one that sends more than was asked
// for has sent all.
func page[T any](ctx context.Context, c *Client, r call, number int) (list []T, more bool, err error) {
	query := url.Values{"page": {strconv.Itoa(number)}, "per_page": {strconv.Itoa(perPage)}}
	maps.Copy(query, r.query)
	r.query, r.limit = query, maxList
	a, err := c.do(ctx, r)
	if err != nil {
		return nil, false, err
	}
	if err := json.Unmarshal(a.body, &list); err != nil {
		return nil, false, a.garbage(err)
	}
	if a.header.Get("X-Total-Count") == "" {
		return list, len(list) == perPage, nil
	}
	return list, strings.Contains(strings.Join(a.header.Values("Link"), ","), `rel="next"`), nil
}
