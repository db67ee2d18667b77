package server

// Patterns returns the patterns of all routes.
func Patterns(o Options) []string {
	s := &server{Options: o}
	s.routes()
	return s.patterns
}
