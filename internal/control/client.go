package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"syscall"
)

// ErrNoAgent: nothing answers on the control socket.
var ErrNoAgent = errors.New("no sshmint agent is running")

// Client talks to the agent that listens on Socket.
type Client struct {
	Socket string // the agent's own socket
}

// Status asks for everything.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	var s Status
	return &s, c.call(ctx, http.MethodGet, "/status", nil, &s)
}

// List gives what a local client would be offered that does not say where it
// goes, minted if need be; for a profile, what that one has for its hosts.
func (c *Client) List(ctx context.Context, profile string) ([]Certificate, error) {
	var l []Certificate
	return l, c.call(ctx, http.MethodGet, "/list", url.Values{"profile": {profile}}, &l)
}

// Mint has a new certificate made for a profile.
func (c *Client) Mint(ctx context.Context, profile string) (*Certificate, error) {
	var cert Certificate
	return &cert, c.call(ctx, http.MethodPost, "/mint", url.Values{"profile": {profile}}, &cert)
}

// Forget drops a profile's certificate and key, or all of them for "".
func (c *Client) Forget(ctx context.Context, profile string) error {
	return c.call(ctx, http.MethodPost, "/forget", url.Values{"profile": {profile}}, nil)
}

// Reload has the agent read its configuration anew.
func (c *Client) Reload(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/reload", nil, nil)
}

func (c *Client) call(ctx context.Context, method, path string, query url.Values, out any) error {
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dial(ctx, Path(c.Socket))
		},
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://sshmint"+path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	answer, err := (&http.Client{Transport: transport}).Do(r)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%w on %s", ErrNoAgent, c.Socket)
	}
	if err != nil {
		return fmt.Errorf("asking the agent on %s: %w", c.Socket, err)
	}
	defer answer.Body.Close() //nolint:errcheck // read only
	if answer.StatusCode >= 300 {
		var f fault
		if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(&f); err != nil || f.Error == "" {
			return fmt.Errorf("asking the agent on %s: it answered %s", c.Socket, answer.Status)
		}
		return errors.New(f.Error)
	}
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, 16<<20)).Decode(out); err != nil {
		return fmt.Errorf("reading what the agent on %s answered: %w", c.Socket, err)
	}
	return nil
}
