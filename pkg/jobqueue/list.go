package jobqueue

import (
	"context"
	"fmt"
	"iter"

	"github.com/riverqueue/river"
)

// pageSize is how many jobs are read at once.
const pageSize = 500

// Jobs lists jobs in the order in which they came; without states, all. Those
// that are done are forgotten after a time (see Worker).
func (q *Queue) Jobs(ctx context.Context, states ...State) iter.Seq2[Job, error] {
	return func(yield func(Job, error) bool) {
		where := "queue = '" + queueName + "'"
		for i, s := range states {
			condition, err := s.where()
			if err != nil {
				yield(Job{}, err)
				return
			}
			if i == 0 {
				where += " AND (" + condition
			} else {
				where += " OR " + condition
			}
		}
		if len(states) > 0 {
			where += ")"
		}
		params := river.NewJobListParams().Where(where).First(pageSize).OrderBy(river.JobListOrderByID, river.SortOrderAsc)
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
