package jobqueue

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/riverqueue/river"
)

// pageSize is how many jobs are read at once.
const pageSize = 500

// Jobs lists jobs, the newest first; without states, all. Those
// that are done are forgotten after a time (see Worker).
func (q *Queue) Jobs(ctx context.Context, states ...State) iter.Seq2[Job, error] {
	return func(yield func(Job, error) bool) {
		conditions := make([]string, len(states))
		for i, s := range states {
			var err error
			if conditions[i], err = s.where(); err != nil {
				yield(Job{}, err)
				return
			}
		}
		where := "queue = '" + queueName + "'"
		if len(states) > 0 {
			where += " AND (" + strings.Join(conditions, " OR ") + ")"
		}
		params := river.NewJobListParams().Where(where).First(pageSize).OrderBy(river.JobListOrderByID, river.SortOrderDesc)
		q.pages(ctx, params, yield)
	}
}

// pages reads page after page.
func (q *Queue) pages(ctx context.Context, params *river.JobListParams, yield func(Job, error) bool) {
	for {
		page, err := q.client.JobList(ctx, params)
		if err != nil {
			yield(Job{}, fmt.Errorf("list jobs: %w", err))
			return
		}
		for _, row := range page.Jobs {
			if job, err := jobOf(row); !yield(job, err) || err != nil {
				return
			}
		}
		if len(page.Jobs) < pageSize {
			return
		}
		params = params.After(page.LastCursor)
	}
}

// left is how many jobs are neither done nor given up.
func (q *Queue) left(ctx context.Context) (n int64, err error) {
	err = q.pool.QueryRow(ctx, `SELECT count(*) FROM river_job
		WHERE queue = $1 AND state IN ('available', 'pending', 'scheduled', 'running', 'retryable')`, queueName).Scan(&n)
	return n, err
}
