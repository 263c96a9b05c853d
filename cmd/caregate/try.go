package main

import "fmt"

// printWhatToTry tells somebody who has just started the example what to do.
func (s *serving) printWhatToTry(bound []listening) {
	at := ""
	for _, l := range bound {
		if l.name == "decisions" && l.listener.Addr().Network() == "tcp" {
			at = l.address()
			break
		}
	}
	if at == "" {
		return
	}
	_, _ = fmt.Fprintf(s.app.stdout, `
Caregate answers about the example organisation at http://%[1]s. Try, from another terminal:

  May Mark update patient p-1?
    curl -s http://%[1]s/access/v1/evaluation --json '{"subject":{"type":"team_member","id":"mark"},"action":{"name":"update"},"resource":{"type":"patient","id":"p-1"}}'

  May he delete them?
    curl -s http://%[1]s/access/v1/evaluation --json '{"subject":{"type":"team_member","id":"mark"},"action":{"name":"delete"},"resource":{"type":"patient","id":"p-1"}}'

  Which patients may he update?
    curl -s http://%[1]s/access/v1/search/resource --json '{"subject":{"type":"team_member","id":"mark"},"action":{"name":"update"},"resource":{"type":"patient"}}'

  And in SQL, for a table of your own?
    curl -s http://%[1]s/v1/filters --json '{"subject":{"type":"team_member","id":"mark"},"action":{"name":"update"},"resource":{"type":"patient"},"dialect":"postgresql"}'

  Why may he not delete p-1, and what would change that? Asked by an administrator.
    curl -s http://%[1]s/v1/explanations -H 'Caregate-Actor: amara' --json '{"subject":{"type":"team_member","id":"mark"},"action":{"name":"delete"},"resource":{"type":"patient","id":"p-1"}}'

  What may he do at all?
    curl -s http://%[1]s/v1/permissions/mark

Stop with Ctrl-C.
`, at)
}
