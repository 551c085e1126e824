package agent

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sshmint/sshmint/internal/knownhosts"
)

// A Route is what would be offered to ssh on its way to a host.
type Route struct {
	Keys   []HostKey // entries of known_hosts by which ssh would know the host; none: it will ask, and write one
	Names  []string  // that are known of whoever has these keys
	Offers []Offer   // in order, what is hidden last
}

// A HostKey is an entry of a known_hosts file.
type HostKey struct {
	File        string
	Line        int
	Type        string
	Fingerprint string
	Authority   bool // it certifies the keys of hosts
	Revoked     bool
}

// An Offer is one profile's part in a Route.
type Offer struct {
	Profile string
	Last    bool // after what is for the host; minted only if no person is asked
	Hidden  bool
	Why     string
}

// Explain tells what a local client that binds its connection would be offered
// on the way to a host, by the name that ssh looks up in known_hosts; port 0
// means 22. Keys of one host that lead to different offers make different
// routes.
func (a *Agent) Explain(host string, port int) []Route {
	name := knownhosts.Name(host, port)
	known := a.knownHosts()
	var routes []Route
	for _, entry := range known.Keys(name) {
		key, err := ssh.ParsePublicKey([]byte(entry.Blob))
		if err != nil {
			continue // ssh does not know it either
		}
		of := knownhosts.Host{Names: []string{name}} // a certificate for that name
		if !entry.Authority || entry.Revoked {
			of = known.Lookup(key, time.Now(), a.candidates([]string{name}))
		}
		next := a.route(of)
		next.Keys = []HostKey{{entry.File, entry.Line, key.Type(), ssh.FingerprintSHA256(key), entry.Authority, entry.Revoked}}
		if i := slices.IndexFunc(routes, next.same); i >= 0 {
			routes[i].Keys = append(routes[i].Keys, next.Keys...)
		} else {
			routes = append(routes, next)
		}
	}
	if routes == nil {
		routes = []Route{a.route(knownhosts.Host{Names: []string{name}})}
	}
	return routes
}

func (r *Route) same(o Route) bool {
	return slices.Equal(r.Names, o.Names) && slices.Equal(r.Offers, o.Offers)
}

func (a *Agent) route(host knownhosts.Host) Route {
	var shown, hidden []Offer
	var places []placed
	for _, p := range a.set().profiles {
		at, why := p.rules.Load().place(&host, false, a.currentSettings().HideUnknown)
		if why != nil {
			hidden = append(hidden, Offer{Profile: p.Name, Hidden: true, Why: explain(why, host.Names)})
			continue
		}
		places = append(places, placed{p, at})
	}
	slices.SortStableFunc(places, byPlace)
	for _, o := range places {
		shown = append(shown, Offer{Profile: o.profile.Name, Last: o.place == placeUnnamed, Why: o.place.String()})
	}
	return Route{Names: host.Names, Offers: append(shown, hidden...)}
}

func explain(why error, names []string) string {
	if errors.Is(why, errOtherHost) {
		return fmt.Sprintf("%s (%s)", why, strings.Join(names, ", "))
	}
	return why.Error()
}

// String is the reason for a place.
func (p place) String() string {
	switch p {
	case placeNamed:
		return "its hosts select the server"
	case placeAny:
		return "it is for all hosts"
	}
	return "known_hosts does not tell all names of the server"
}
