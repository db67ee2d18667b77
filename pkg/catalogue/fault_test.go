package catalogue_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/lcp-tools/lcp/pkg/catalogue"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/store"
)

// What is wrong with the input is told from what another attempt may mend.
func TestInputErrors(t *testing.T) {
	t.Parallel()
	answers := func(status int) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		t.Cleanup(server.Close)
		return server.URL + "/book.epub"
	}
	damaged := sample(t, "sample.epub")
	for i := range damaged[2000:3000] {
		damaged[2000+i] ^= 0xff // the directory at the end is whole
	}
	written := func(name string, data []byte) string {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	good := func() string { return sampleFile(t, "sample.epub") }
	tests := map[string]struct {
		item     catalogue.Item
		registry fakeRegistry
		store    moodyStore
		isInput  bool
	}{
		"a known fault":          {item: catalogue.Item{Fault: "unreadable"}, isInput: true},
		"no such file":           {item: catalogue.Item{Input: filepath.Join(t.TempDir(), "none")}, isInput: true},
		"unknown format":         {item: catalogue.Item{Input: written("a.epub", []byte("text"))}, isInput: true},
		"damaged":                {item: catalogue.Item{Input: written("b.epub", damaged)}, isInput: true},
		"gone from its server":   {item: catalogue.Item{Input: answers(http.StatusNotFound)}, isInput: true},
		"server out of order":    {item: catalogue.Item{Input: answers(http.StatusBadGateway)}},
		"no key file":            {item: catalogue.Item{Input: good(), KeyFile: "none"}, isInput: true},
		"alternative id taken":   {item: catalogue.Item{Input: good(), UUID: someID}, registry: fakeRegistry{reserveErr: &store.ExistsError{}}, isInput: true},
		"known by another key":   {item: catalogue.Item{Input: good(), UUID: someID}, registry: fakeRegistry{saveErr: store.ErrKeyChanged}},
		"registry away":          {item: catalogue.Item{Input: good(), UUID: someID}, registry: fakeRegistry{reserveErr: errRegistry}},
		"registry away later":    {item: catalogue.Item{Input: good(), UUID: someID}, registry: fakeRegistry{saveErr: errRegistry}},
		"store away":             {item: catalogue.Item{Input: good()}, store: moodyStore{statErr: errStore}},
		"disk full":              {item: catalogue.Item{Input: good()}, store: moodyStore{putErr: map[string]error{".epub": syscall.ENOSPC}}},
		"other bytes are stored": {item: catalogue.Item{Input: good()}, store: moodyStore{loses: true}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.registry.identity.UUID == "" {
				tt.registry.identity = store.Identity{UUID: someID, Key: lcpcrypto.NewContentKey()}
			}
			tt.store.folder = newFolder(t, "")
			w := newWorker(t, &tt.registry)
			w.Store, w.Verify = &tt.store, true
			w.ReadKey = func(name string) (lcpcrypto.ContentKey, error) {
				_, err := os.ReadFile(name)
				return lcpcrypto.ContentKey{}, err
			}
			_, err := w.Process(t.Context(), tt.item, catalogue.Progress{})
			if err == nil || errors.As(err, new(*catalogue.InputError)) != tt.isInput {
				t.Errorf("Process = %v (%T), an InputError: %t", err, err, !tt.isInput)
			}
		})
	}
}

// A file that changes while it is read, and an interrupt, are no fault of the
// input.
func TestPassingFaults(t *testing.T) {
	t.Parallel()
	t.Run("changed", func(t *testing.T) {
		t.Parallel()
		file := sampleFile(t, "sample.epub")
		w := newWorker(t, nil)
		_, err := w.Process(t.Context(), catalogue.Item{Input: file}, catalogue.Progress{Add: func(int64) {
			_ = os.WriteFile(file, []byte("another"), 0o600)
		}})
		if err == nil || errors.As(err, new(*catalogue.InputError)) {
			t.Errorf("Process = %v", err)
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		w := newWorker(t, nil)
		_, err := w.Process(ctx, catalogue.Item{Input: sampleFile(t, "sample.epub")}, catalogue.Progress{Total: func(int64) { cancel() }})
		if err == nil || errors.As(err, new(*catalogue.InputError)) {
			t.Errorf("Process = %v", err)
		}
	})
}

// Who tries again proposes the same identifier again: it holds where none is
// known, or wanted.
func TestProposal(t *testing.T) {
	t.Parallel()
	const proposal = "99999999-2222-4333-8444-555555555555"
	key := lcpcrypto.NewContentKey()
	tests := map[string]struct {
		item catalogue.Item
		want []store.Identity
		err  error
	}{
		"nothing wanted":     {want: []store.Identity{{UUID: proposal}}},
		"UUID wanted":        {item: catalogue.Item{UUID: someID}, want: []store.Identity{{UUID: someID}}},
		"alternative wanted": {item: catalogue.Item{AltID: "a"}, want: []store.Identity{{UUID: proposal, AltID: "a"}}},
		"alternative known": {
			item: catalogue.Item{AltID: "a"}, err: &store.ExistsError{},
			want: []store.Identity{{UUID: proposal, AltID: "a"}, {AltID: "a"}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &fakeRegistry{identity: store.Identity{UUID: someID, AltID: tt.item.AltID, Key: key}, reserveErr: tt.err}
			tt.item.Input, tt.item.Proposal = sampleFile(t, "sample.epub"), proposal
			_, err := newWorker(t, r).Process(t.Context(), tt.item, catalogue.Progress{})
			if (err == nil) != (tt.err == nil) || !slices.Equal(r.wanted, tt.want) {
				t.Errorf("Process = %v, having asked for %+v, want %+v", err, r.wanted, tt.want)
			}
		})
	}
}
