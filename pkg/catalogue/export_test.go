package catalogue

import (
	"encoding/json"
	"iter"

	"github.com/lcp-tools/lcp/pkg/journal"
)

// FillJournal writes the journal of a run that has done all items, without the
// run.
func FillJournal(name string, w *Worker, items iter.Seq2[Item, error]) error {
	j, err := journal.Open(name, journalKind, func(int64, []byte) error { return nil })
	if err != nil {
		return err
	}
	defer j.Close()
	var lines []any
	for item := range items {
		state, err := readSourceState(item.Input)
		if err != nil {
			return err
		}
		const id = "11111111-2222-4333-8444-555555555555"
		record, err := json.Marshal(Record{
			UUID: id, AltID: item.AltID, Title: "A title of usual length, and its rest", Authors: []string{"Ann Author", "Bob Author"},
			ContentType: "application/epub+zip", File: "shelf/" + id + ".epub", Href: "https://cdn.example.com/shelf/" + id + ".epub",
			Size: 1_600_000, Checksum: state.content.String() + state.content.String(), Source: item.Input, Format: "EPUB 3", Encrypted: 80, Seconds: 0.01,
		})
		if err != nil {
			return err
		}
		lines = append(lines, entry{Begun: item.digest().String(), UUID: id}, entry{
			Done: item.digest().String(), UUID: id, Size: state.size, Time: state.time,
			Content: state.content.String(), Asked: w.askedOf(&item, nil).String(), Record: record,
		})
	}
	_, err = j.Append(lines...)
	return err
}

// ParseEntry reads the head of a line by the quick way and by the usual one.
func ParseEntry(head []byte) (quick, usual any, ok bool) {
	q, ok := parseEntry(head)
	var u entry
	if err := json.Unmarshal(head, &u); err != nil {
		return q, err, ok
	}
	return q, u, ok
}
