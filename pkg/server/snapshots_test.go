package server_test

import (
	"net/http"
	"testing"

	"github.com/lcp-tools/lcp/pkg/provider"
	"github.com/lcp-tools/lcp/pkg/server"
	"github.com/lcp-tools/lcp/pkg/store"
)

func TestDeleteSnapshots(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *server.Options) {
		setProviders(t, o, newDirectory(t, provider.Provider{SnapshotUsers: true}, provider.Provider{ID: otherID, URI: otherURI, SnapshotUsers: true}))
	})
	mine, theirs := r.addPublication(t), r.addPublication(t, object{"provider": otherURI})
	const slashed = "a/b c"
	for _, pub := range []string{mine, theirs} {
		r.addLicense(t, pub)
		r.addLicense(t, pub)
		r.addLicense(t, pub, object{"user_id": slashed})
	}
	for _, tt := range []struct {
		path string
		code int
		body string
	}{
		{"/users/" + userID + "/snapshots?provider=" + otherID, 200, `{"deleted":2}`},
		{"/users/" + userID + "/snapshots", 200, `{"deleted":2}`},
		{"/users/" + userID + "/snapshots", 200, `{"deleted":0}`},
		{"/users/a%2Fb%20c/snapshots?provider=default", 200, `{"deleted":1}`},
		{"/snapshots?provider=nobody", 400, ""},
		{"/snapshots?provider=default", 200, `{"deleted":0}`},
		{"/snapshots", 200, `{"deleted":1}`},
	} {
		if a := r.do(t, "DELETE", tt.path, nil); a.code != tt.code || tt.code == http.StatusOK && a.body != tt.body {
			t.Errorf("DELETE %s = %d %s, want %d %s", tt.path, a.code, a.body, tt.code, tt.body)
		}
	}
	entries, _, err := r.store.AuditLog(t.Context(), store.AuditFilter{Target: slashed}, store.Page{Limit: 10})
	if err != nil || len(entries) != 1 {
		t.Errorf("the audit log has %d entries, %v", len(entries), err)
	}
}
