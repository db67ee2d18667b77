package server_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/license"
)

// A rental lasts from the registration of its first device, and from no other.
func TestPlayDurationStartsOnce(t *testing.T) {
	t.Parallel()
	onAll(t, testPlayDurationStartsOnce)
}

func testPlayDurationStartsOnce(t *testing.T, r *rig) {
	id := r.loan(t, object{"play_duration": "PT48H"})
	before := r.status(t, id)
	if end := epoch.AddDate(0, 0, 74); before.Status != "ready" || !before.PotentialRights.End.IsZero() && !before.PotentialRights.End.Equal(end) {
		t.Errorf("before: %+v", before)
	}
	r.clock.pass(time.Hour)
	first := r.clock.now()
	together(func(n int) { r.register(t, id, fmt.Sprintf("device-%d", n)) })
	r.checkPlayEnd(t, id, first.Add(48*time.Hour))
	started := r.status(t, id)
	if !started.Updated.License.After(before.Updated.License) {
		t.Errorf("license updated %s, before %s: apps would keep what they have", started.Updated.License, before.Updated.License)
	}
	// Renewals add at most what they would have added to the loan.
	if want := first.Add(48*time.Hour).AddDate(0, 0, 60); !started.PotentialRights.End.Equal(want) {
		t.Errorf("can be renewed to %s, want %s", started.PotentialRights.End, want)
	}

	r.clock.pass(time.Hour)
	r.register(t, id, "late")
	r.checkPlayEnd(t, id, first.Add(48*time.Hour))
	if again := r.status(t, id); !again.Updated.License.Equal(started.Updated.License) {
		t.Errorf("license updated %s by another device", again.Updated.License)
	}
	renewed := first.Add(72 * time.Hour)
	r.mustPublic(t, http.StatusOK, "PUT", "/renew/"+id+"?end="+renewed.Format(time.RFC3339))
	r.register(t, id, "later still")
	r.checkPlayEnd(t, id, renewed)
}

// checkPlayEnd compares the end in the record and in a fresh license.
func (r *rig) checkPlayEnd(t *testing.T, id string, want time.Time) {
	t.Helper()
	doc := decode[license.Document](t, r.must(t, http.StatusOK, "POST", "/licenses/"+id, freshRequest()))
	if doc.Rights.End == nil || !doc.Rights.End.Equal(want) {
		t.Errorf("the license ends %v, want %s", doc.Rights.End, want)
	}
	info := r.info(t, id)
	if info["end"] != want.Format(time.RFC3339) || info["play_duration"] != "P2D" {
		t.Errorf("the record ends %v, %v, want %s", info["end"], info["play_duration"], want)
	}
}

func TestPlayDurationAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.loan(t, object{"play_duration": "P1M", "start": nil, "end": nil})
	before := r.status(t, id)
	if links := before.rels(); links != "license register" {
		t.Errorf("links before: %s", links)
	}
	r.register(t, id, deviceID)
	r.checkEnd(t, id, epoch.AddDate(0, 1, 0))
	started := r.status(t, id)
	if links := started.rels(); links != "license register renew return" {
		t.Errorf("links then: %s", links)
	}
	r.clock.pass(32 * 24 * time.Hour)
	if got := r.status(t, id).Status; got != "expired" {
		t.Errorf("status %s after its time", got)
	}
}

// What cannot be read before a date lasts from that date on.
func TestPlayDurationBeforeStart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	start := epoch.AddDate(0, 0, 3)
	id := r.loan(t, object{"play_duration": "P1D", "start": stamp(start)})
	r.register(t, id, deviceID)
	r.checkEnd(t, id, start.AddDate(0, 0, 1))
}

func (r *rig) checkEnd(t *testing.T, id string, want time.Time) {
	t.Helper()
	if info := r.info(t, id); info["end"] != stamp(want) {
		t.Errorf("the record ends %v, want %s", info["end"], want)
	}
}

func TestPlayDurationOfRecords(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.loan(t, object{"play_duration": "P14D"})
	info := r.info(t, id)
	delete(info, "play_duration") // as who does not know it sends it back
	if got := r.must(t, http.StatusOK, "PUT", "/licenseinfo/"+id, info); decode[object](t, got)["play_duration"] != "P14D" {
		t.Errorf("after an update: %s", got.body)
	}
	info["play_duration"] = "two weeks"
	r.must(t, http.StatusBadRequest, "PUT", "/licenseinfo/"+id, info)
	r.must(t, http.StatusBadRequest, "POST", "/licenses", with(licenseRequest(r.addPublication(t)), object{"play_duration": "-P1D"}))
}
