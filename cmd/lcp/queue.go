package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/pflag"

	"github.com/lcp-tools/lcp/pkg/blob/s3blob"
	"github.com/lcp-tools/lcp/pkg/catalogue"
	"github.com/lcp-tools/lcp/pkg/jobqueue"
)

// queueFlags say which queue to use.
type queueFlags struct {
	flags        *pflag.FlagSet
	flag         string // the name of the one for url
	url          string
	passwordFile string
}

func (q *queueFlags) addFlags(fs *pflag.FlagSet, name, usage string) {
	q.flags, q.flag = fs, name
	fs.StringVar(&q.url, name, "", usage)
	fs.StringVar(&q.passwordFile, "queue-password-file", "", "with the database's password in `FILE` (else PGPASSWORD or ~/.pgpass)")
}

// addWorkFlags is addFlags for commands that always need a queue.
func (q *queueFlags) addWorkFlags(fs *pflag.FlagSet) {
	q.addFlags(fs, "queue", "the queue is in the PostgreSQL database at `URL` (else LCP_QUEUE)")
}

// wanted reports whether the flag is given; empty, it means LCP_QUEUE.
func (q *queueFlags) wanted() bool { return q.flags.Changed(q.flag) }

// dsn is where the queue is, with the password if that is ours to give. It comes
// from a file or the environment: a flag's value every process on the machine
// could read.
func (q *queueFlags) dsn() (string, error) {
	text := cmp.Or(q.url, os.Getenv("LCP_QUEUE"))
	if text == "" {
		return "", usagef("say with --%s where the queue is, as in postgres://user@host/database", q.flag)
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return "", usagef("--%s: give the address of a PostgreSQL database, as in postgres://user@host/database", q.flag)
	}
	if _, has := u.User.Password(); q.url != "" && (has || u.Query().Has("password")) {
		return "", usagef("--%s must not hold a password: put it into a file, for --queue-password-file", q.flag)
	}
	if q.passwordFile == "" {
		return text, nil
	}
	password, err := readSecretFile(q.passwordFile)
	if err != nil {
		return "", fmt.Errorf("read the password of the queue: %w", err)
	}
	u.User = url.UserPassword(u.User.Username(), password)
	return u.String(), nil
}

// open opens the queue. The caller closes it.
func (a *app) openQueue(ctx context.Context, q *queueFlags) (*jobqueue.Queue, error) {
	dsn, err := q.dsn()
	if err != nil {
		return nil, err
	}
	return jobqueue.Open(ctx, dsn, slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn})))
}

// checkEnqueue refuses flags that mean nothing where others do the work, and those
// of the queue where it is not used.
func (q *queueFlags) checkEnqueue(o *encryptOptions, flags *pflag.FlagSet) error {
	if !q.wanted() {
		if q.passwordFile != "" {
			return usagef("--queue-password-file is for --%s", q.flag)
		}
		return nil
	}
	for _, name := range []string{
		"journal", "report", "dry-run", "no-register", "jobs", "fail-fast", "max-failures", "format", "watch", "delete-source", "onix",
		"credentials-file", "insecure-http", "notify-credentials-file",
	} {
		if flags.Changed(name) {
			return usagef("--%s and --%s exclude one another: the work is that of lcp worker", q.flag, name)
		}
	}
	if o.storage.baseURL == "" && !o.storage.inS3() {
		return usagef("--%s needs --url, where reading apps will find the publications", q.flag)
	}
	return nil
}

// A job is what a worker, on whatever machine, has to know about a publication.
// It has no secrets: those are the worker's own.
type job struct {
	Item          catalogue.Item `json:"item"`
	Proposal      string         `json:"proposal"` // UUID for a publication that has none yet, so that all attempts make the same one
	Storage       string         `json:"storage"`  // folder, which the machines share, or s3://bucket/prefix
	URL           string         `json:"url,omitempty"`
	S3            s3blob.Options `json:"s3,omitzero"`
	Cover         bool           `json:"cover,omitempty"`
	Verify        bool           `json:"verify,omitempty"`
	Server        string         `json:"server,omitempty"` // to register with; "" for what the worker registers with
	ServerVersion int            `json:"server_version"`
	Notify        string         `json:"notify,omitempty"` // URL of the CMS
}

// jobOf is the job for an item of the command line.
func (o *encryptOptions) jobOf(item catalogue.Item) (job, error) {
	var errs [3]error
	item.Input, errs[0] = absolute(item.Input)
	item.KeyFile, errs[1] = absolute(item.KeyFile)
	storage, err := absolute(o.storage.where)
	errs[2] = err
	return job{
		Item: item, Proposal: uuid.NewString(), Storage: storage, URL: o.storage.baseURL, S3: o.storage.s3,
		Cover: o.cover, Verify: o.verify, Server: strings.TrimSuffix(o.server.address(), "/"), ServerVersion: o.apiVersion,
		Notify: o.notify.url,
	}, errors.Join(errs[:]...)
}

// absolute is a path that means the same wherever a worker runs. Addresses do.
func absolute(name string) (string, error) {
	if name == "" || strings.Contains(name, "://") {
		return name, nil
	}
	return filepath.Abs(name)
}

// task is the job as the queue has it. Two jobs are the same that would put the
// same publication into the same place.
func (j *job) task() (jobqueue.Task, error) {
	data, err := json.Marshal(j)
	if err != nil {
		return jobqueue.Task{}, err
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{
		j.Item.Input, j.Item.AltID, strings.ToLower(j.Item.UUID), j.Item.FileName, j.Storage, j.URL, j.Server,
	}, "\x00")))
	return jobqueue.Task{Key: hex.EncodeToString(sum[:]), Data: data}, nil
}

// enqueueAtOnce is how many jobs are put into the queue in one transaction.
const enqueueAtOnce = 500

// enqueue puts the plan into the queue. What cannot be brought in as far as is
// known here fails here.
func (a *app) enqueue(ctx context.Context, o *encryptOptions, plan *catalogue.Plan) error {
	q, err := a.openQueue(ctx, &o.queue)
	if err != nil {
		return err
	}
	defer q.Close()
	var tasks []jobqueue.Task
	added, failed := 0, 0
	flush := func() error {
		n, err := q.Add(ctx, tasks)
		added, tasks = added+n, tasks[:0]
		return err
	}
	for item, err := range plan.Items() {
		if err != nil {
			return err
		}
		if item.Fault != "" {
			fmt.Fprintf(a.err, "lcp: %s: %s\n", item.Input, item.Fault)
			failed++
			continue
		}
		j, err := o.jobOf(item)
		if err != nil {
			return err
		}
		t, err := j.task()
		if err != nil {
			return err
		}
		if tasks = append(tasks, t); len(tasks) == enqueueAtOnce {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	a.notef("put %d into the queue", added)
	if known := plan.Len() - failed - added; known > 0 {
		a.notef("%d of %d are in the queue already", known, plan.Len())
	}
	return a.ending(plan.Len(), plan.Len(), failed)
}
