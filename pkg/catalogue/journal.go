package catalogue

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/lcp-tools/lcp/pkg/journal"
	"github.com/lcp-tools/lcp/pkg/onix"
)

// journalKind begins every journal.
const journalKind = "lcp catalogue"

// A Journal remembers on disk which items are begun and done, so that a run that
// was killed at any moment goes on where it was. It has no keys. Its methods may
// be called by several goroutines at once.
//
// A line "begun" has the identifier under which work on an item begins, which
// the next run uses again; a line "done" has the record, what was asked for, and
// what the source was. A line "owed" has a message to somebody who is to be told,
// until a line "told" follows. A line "gone" says that the source is where no run
// takes it from again. A line "registry" says where the publications are registered.
type Journal struct {
	file     *journal.File
	registry string // see Bind; "" before

	writing sync.RWMutex // shared by those who add a line and take it in; not while the journal begins anew

	mu    sync.Mutex
	items map[digest]packed
	names map[digest]string // identifiers that are no UUIDs as usually written
}

// remembered is what the journal knows of an item.
type remembered struct {
	uuid string // "" if it knows nothing
	itemState
}

// packed is the same without pointers, so that the garbage collector need not go
// through hundreds of thousands of them.
type packed struct {
	uuid uuid.UUID // zero if Journal.names has it
	itemState
}

// itemState is how far an item has come.
type itemState struct {
	isDone bool
	source sourceState // when it was done
	asked  digest
	line   int64 // offset of the line with the record
	owed   int64 // offset of the line with the message that is to be sent; 0 for none
	isGone bool  // and waits only for what is owed
}

// entry is a line of the journal. What comes before the record is read at once,
// the record only when somebody wants it.
type entry struct {
	Registry string          `json:"registry,omitempty"`
	Begun    string          `json:"begun,omitempty"` // item
	Done     string          `json:"done,omitempty"`  // item
	Owed     string          `json:"owed,omitempty"`  // item
	Told     string          `json:"told,omitempty"`  // item
	Gone     string          `json:"gone,omitempty"`  // item
	UUID     string          `json:"uuid,omitempty"`
	Size     int64           `json:"size,omitempty"`    // of the source, bytes
	Time     int64           `json:"mtime,omitempty"`   // of the source, nanoseconds since 1970
	Content  string          `json:"content,omitempty"` // fingerprint of the source
	Asked    string          `json:"asked,omitempty"`   // digest of what was asked for
	Record   json.RawMessage `json:"record,omitempty"`  // or the message
}

// OpenJournal opens the journal in a file, which is made if it is not there. It
// fails with journal.ErrLocked while another run has it open. The caller closes
// it.
func OpenJournal(name string) (*Journal, error) {
	j := &Journal{items: map[digest]packed{}, names: map[digest]string{}}
	file, err := journal.Open(name, journalKind, j.load)
	if err != nil {
		return nil, err
	}
	j.file = file
	return j, nil
}

// ErrRegistry is returned for a journal of publications that are registered elsewhere.
var ErrRegistry = errors.New("its publications are registered elsewhere")

// Bind says where the publications of the journal are registered, in words that
// stay the same. Their keys are there: it fails with ErrRegistry if the journal was
// bound to another registry, where what it knows would be missing and what it has
// done again would get other keys.
func (j *Journal) Bind(registry string) error {
	switch j.registry {
	case registry:
		return nil
	case "":
		j.registry = registry
		return j.writeRegistry()
	default:
		return fmt.Errorf("%w: with %s, not with %s", ErrRegistry, j.registry, registry)
	}
}

func (j *Journal) writeRegistry() error {
	_, err := j.file.Append(entry{Registry: j.registry})
	return err
}

// Close closes the file. All that was written is on disk already.
func (j *Journal) Close() error { return j.file.Close() }

// recordMember is where the record begins in a line. It cannot be within a text,
// where quotes are escaped.
var recordMember = []byte(`,"record":`)

// load takes in a line.
func (j *Journal) load(offset int64, line []byte) error {
	head, _, hasRecord := bytes.Cut(line, recordMember)
	if hasRecord {
		head = append(head, '}') // over the first byte of what was cut off
	}
	e, ok := parseEntry(head)
	if !ok && json.Unmarshal(head, &e) != nil {
		return errors.New("not an entry: the file was changed")
	}
	if e.Registry != "" {
		j.registry = e.Registry
		return nil
	}
	item, err := parseDigest(cmp.Or(e.Done, e.Begun, e.Owed, e.Told, e.Gone))
	if err != nil || e.UUID == "" || (e.Done+e.Owed != "") != hasRecord {
		return errors.New("not an entry: the file was changed")
	}
	known := remembered{e.UUID, j.items[item].itemState}
	switch {
	case e.Begun != "":
		known = remembered{uuid: e.UUID}
	case e.Owed != "":
		known.owed = offset
	case e.Told != "":
		known.owed = 0
	case e.Gone != "":
		known.isGone = true
	default:
		content, err := parseDigest(e.Content)
		asked, askedErr := parseDigest(e.Asked)
		if err := errors.Join(err, askedErr); err != nil {
			return errors.New("not an entry: the file was changed")
		}
		known.isDone, known.asked, known.line = true, asked, offset
		known.source = sourceState{e.Size, e.Time, content}
	}
	j.put(item, known)
	return nil
}

// parseEntry reads what comes before the record as this package writes it, which
// is many times as fast as reading any JSON. It gives up on everything else.
func parseEntry(head []byte) (e entry, ok bool) {
	text, ok := strings.CutPrefix(string(head), "{")
	if !ok {
		return e, false
	}
	for {
		name, rest, ok := strings.Cut(strings.TrimPrefix(text, `"`), `":`)
		if !ok {
			return e, false
		}
		var value string
		if quoted, isText := strings.CutPrefix(rest, `"`); isText {
			value, rest, ok = strings.Cut(quoted, `"`)
		} else {
			end := strings.IndexAny(rest, ",}")
			if ok = end >= 0; ok {
				value, rest = rest[:end], rest[end:]
			}
		}
		if !ok || strings.ContainsFunc(value, notPlain) || !e.set(name, value) {
			return entry{}, false
		}
		if rest == "}" {
			return e, true
		}
		if text, ok = strings.CutPrefix(rest, ","); !ok {
			return entry{}, false
		}
	}
}

// notPlain reports characters that may stand for others in JSON.
func notPlain(c rune) bool { return c < ' ' || c > '~' || c == '\\' }

// set sets a member that parseEntry has read, if it knows it.
func (e *entry) set(name, value string) bool {
	var err error
	switch name {
	case "registry":
		e.Registry = value
	case "begun":
		e.Begun = value
	case "done":
		e.Done = value
	case "owed":
		e.Owed = value
	case "told":
		e.Told = value
	case "gone":
		e.Gone = value
	case "uuid":
		e.UUID = value
	case "content":
		e.Content = value
	case "asked":
		e.Asked = value
	case "size":
		e.Size, err = strconv.ParseInt(value, 10, 64)
	case "mtime":
		e.Time, err = strconv.ParseInt(value, 10, 64)
	default:
		return false
	}
	return err == nil
}

func parseDigest(text string) (digest, error) {
	var d digest
	if len(text) != 2*len(d) {
		return d, errors.New("not a digest")
	}
	_, err := hex.Decode(d[:], []byte(text))
	return d, err
}

func (d digest) String() string { return hex.EncodeToString(d[:]) }

// recall returns what is known of an item.
func (j *Journal) recall(item digest) remembered {
	j.mu.Lock()
	defer j.mu.Unlock()
	p, ok := j.items[item]
	if !ok {
		return remembered{}
	}
	if p.uuid == uuid.Nil {
		return remembered{j.names[item], p.itemState}
	}
	return remembered{p.uuid.String(), p.itemState}
}

// read decodes the record, or the message, in the line at an offset.
func (j *Journal) read(offset int64, to any) error {
	line, err := j.file.Line(offset)
	if err == nil {
		_, record, _ := bytes.Cut(line, recordMember)
		err = json.Unmarshal(bytes.TrimSuffix(record, []byte("}")), to)
	}
	if err != nil {
		return fmt.Errorf("read the journal again: %w", err)
	}
	return nil
}

// begin writes down that work on an item begins, unless that is known. What was
// done before is not any more.
func (j *Journal) begin(item digest, id string) error {
	j.writing.RLock()
	defer j.writing.RUnlock()
	known := j.recall(item)
	if known.uuid == id && !known.isDone {
		return nil
	}
	if _, err := j.file.Append(entry{Begun: item.String(), UUID: id}); err != nil {
		return err
	}
	j.keep(item, remembered{uuid: id})
	return nil
}

// maxRecord bounds what the journal keeps of a record, in bytes.
const maxRecord = 64 << 10

// end writes down that an item is done.
func (j *Journal) end(item, asked digest, source sourceState, rec *Record) error {
	kept := *rec
	kept.EncryptionKey = ""
	data, err := json.Marshal(&kept)
	if err == nil && len(data) > maxRecord {
		kept.Title, kept.Authors, kept.Warnings = "", nil, nil // what a publication says of itself may be of any length
		data, err = json.Marshal(&kept)
	}
	if err != nil {
		return err
	}
	j.writing.RLock()
	defer j.writing.RUnlock()
	offset, err := j.file.Append(entry{
		Done: item.String(), UUID: rec.UUID, Size: source.size, Time: source.time,
		Content: source.content.String(), Asked: asked.String(), Record: data,
	})
	if err != nil {
		return err
	}
	owed := j.recall(item).owed
	j.keep(item, remembered{rec.UUID, itemState{isDone: true, source: source, asked: asked, line: offset, owed: owed}})
	return nil
}

// owe writes down that somebody is to be told of an item.
func (j *Journal) owe(item digest, id string, m *Message) error {
	data, err := json.Marshal(m)
	if err == nil && len(data) > maxRecord {
		data, err = json.Marshal(Message{UUID: m.UUID, Title: m.Title, ContentType: m.ContentType, CoverURL: m.CoverURL})
	}
	if err != nil {
		return err
	}
	j.writing.RLock()
	defer j.writing.RUnlock()
	known := j.recall(item)
	known.owed, err = j.file.Append(entry{Owed: item.String(), UUID: id, Record: data})
	if err == nil {
		j.keep(item, known)
	}
	return err
}

// tellAgain sends the message about an item that is owed, if there is one.
func (w *Worker) tellAgain(ctx context.Context, item digest, rec *Record) error {
	if w.Notifier == nil {
		return nil
	}
	known := w.Journal.recall(item)
	if known.owed == 0 {
		return nil
	}
	var m Message
	if err := w.Journal.read(known.owed, &m); err != nil {
		return err
	}
	if w.tell(ctx, &m, rec); rec.Untold != "" {
		return nil
	}
	return w.Journal.told(item, known.owed)
}

// TellOwed sends the messages that are owed from before, one after another, and
// stops with the first that cannot be sent. It returns how many are still owed.
func (w *Worker) TellOwed(ctx context.Context) (owed int, err error) {
	items := w.Journal.owing()
	for i, item := range items {
		rec := Record{}
		if err := w.tellAgain(ctx, item, &rec); err != nil {
			return len(items) - i, err
		}
		if rec.Untold != "" {
			return len(items) - i, errors.New(rec.Untold)
		}
	}
	return 0, nil
}

// owing lists the items of which somebody is to be told.
func (j *Journal) owing() []digest {
	j.mu.Lock()
	defer j.mu.Unlock()
	var items []digest
	for item, known := range j.items {
		if known.owed > 0 {
			items = append(items, item)
		}
	}
	return items
}

// told writes down that the message in the line at an offset was sent.
func (j *Journal) told(item digest, offset int64) error {
	j.writing.RLock()
	defer j.writing.RUnlock()
	known := j.recall(item)
	if _, err := j.file.Append(entry{Told: item.String(), UUID: known.uuid}); err != nil {
		return err
	}
	if known = j.recall(item); known.owed == offset {
		known.owed = 0
		j.keep(item, known)
	}
	return nil
}

// Forget writes down that an item's source is where no run takes it from again,
// so that the journal need not remember it. A journal that remembers nothing any
// more begins anew.
func (j *Journal) Forget(item *Item) error {
	if err := j.forget(item.digest()); err != nil {
		return err
	}
	return j.renew()
}

func (j *Journal) forget(item digest) error {
	j.writing.RLock()
	defer j.writing.RUnlock()
	known := j.recall(item)
	if known.uuid == "" {
		return nil
	}
	if _, err := j.file.Append(entry{Gone: item.String(), UUID: known.uuid}); err != nil {
		return err
	}
	known.isGone = true
	j.keep(item, known)
	return nil
}

// maxForgotten is how many bytes about nothing a journal may have.
const maxForgotten = 1 << 20

// renew empties a journal that remembers nothing.
func (j *Journal) renew() error {
	if j.file.Size() < maxForgotten {
		return nil
	}
	j.writing.Lock()
	defer j.writing.Unlock()
	if len(j.items) > 0 {
		return nil
	}
	if err := j.file.Reset(); err != nil || j.registry == "" {
		return err
	}
	return j.writeRegistry()
}

func (j *Journal) keep(item digest, known remembered) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.put(item, known)
}

func (j *Journal) put(item digest, known remembered) {
	delete(j.names, item)
	if known.isGone && known.owed == 0 {
		delete(j.items, item)
		return
	}
	p := packed{itemState: known.itemState}
	// A UUID may be written in other ways than the one that String has.
	if id, err := uuid.Parse(known.uuid); err == nil && id.String() == known.uuid {
		p.uuid = id
	}
	if p.uuid == uuid.Nil {
		j.names[item] = known.uuid
	}
	j.items[item] = p
}

// askedOf stands for what is asked for besides the source: where the same comes
// out, the same was asked.
func (w *Worker) askedOf(i *Item, p *onix.Product) digest {
	parts := []string{
		w.Store.Location("x"), w.Store.URL("x"), i.Title, i.Provider, i.KeyFile, strconv.FormatBool(w.Cover),
	}
	if d := productDigest(p); d != "" {
		parts = append(parts, d)
	}
	return claim{"asked", strings.Join(parts, "\x00")}.digest()
}

// kept returns the record of an item that an earlier run has done, if what is
// asked for and the source are what they were.
func (w *Worker) kept(ctx context.Context, item *Item, key digest, from origin) (rec Record, ok bool, err error) {
	known := w.Journal.recall(key)
	if !known.isDone {
		return rec, false, nil
	}
	if w.Recall || w.Products != nil {
		if err := w.Journal.read(known.line, &rec); err != nil {
			return rec, false, err
		}
	}
	product, _, err := w.product(item, rec.Identifiers)
	if err != nil || known.asked != w.askedOf(item, product) || !from.isStill(ctx, known.source) {
		return rec, false, err
	}
	if !w.Recall {
		rec = Record{UUID: known.uuid, AltID: item.AltID, Source: item.Input}
	}
	rec.Kept = true
	return rec, true, nil
}
