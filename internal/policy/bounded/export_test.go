package bounded

// Refused and Limited are the functions of each kind.
func Refused() map[string]string { return refused() }

// Limited reports whether a function has limits here.
func Limited(name string) bool {
	_, limited := limits()[name]
	return limited
}
