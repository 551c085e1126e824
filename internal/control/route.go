package control

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
)

// Route is what ssh would be offered on its way to a host, by some of the host
// keys that it knows the host by.
type Route struct {
	Keys   []HostKey `json:"keys"` // none: ssh will ask, and write one
	Names  []string  `json:"names"`
	Offers []Offer   `json:"offers"` // in order, what is hidden last
}

// HostKey is an entry of a known_hosts file.
type HostKey struct {
	File        string `json:"file"`
	Line        int    `json:"line"`
	Type        string `json:"type"`
	Fingerprint string `json:"fingerprint"`
	Authority   bool   `json:"authority,omitempty"`
	Revoked     bool   `json:"revoked,omitempty"`
}

// Offer is one profile's part in a Route.
type Offer struct {
	Profile string `json:"profile"`
	Place   string `json:"place"` // first, last or hidden
	Why     string `json:"why"`
}

// Routes tells what ssh would be offered for a host; port 0 is ssh's own.
func (c *Client) Routes(ctx context.Context, host string, port int) ([]Route, error) {
	var r []Route
	return r, c.call(ctx, http.MethodGet, "/routes", url.Values{"host": {host}, "port": {strconv.Itoa(port)}}, &r)
}

func routes(a Agent) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		port, err := strconv.ParseUint(r.URL.Query().Get("port"), 10, 16)
		host := r.URL.Query().Get("host")
		if err != nil || host == "" {
			reply(w, nil, errors.New("a host and a port up to 65535 are needed"))
			return
		}
		reply(w, a.Routes(host, int(port)), nil)
	}
}
