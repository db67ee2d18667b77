package store

import "time"

// SetPatience sets how long a server may take to answer.
func (s *Store) SetPatience(d time.Duration) { s.patience = d }
