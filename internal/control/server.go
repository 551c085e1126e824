package control

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// Agent is what a running agent can be asked for.
type Agent interface {
	Status(ctx context.Context) *Status
	List(ctx context.Context, profile string) []Certificate
	Routes(host string, port int) []Route
	Mint(ctx context.Context, profile string) (*Certificate, error)
	Forget(profile string) error
	Reload() error
}

// NewServer answers for a, on listeners that only admit the agent's own user.
func NewServer(a Agent) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		reply(w, a.Status(r.Context()), nil)
	})
	mux.HandleFunc("GET /list", func(w http.ResponseWriter, r *http.Request) {
		reply(w, a.List(r.Context(), r.URL.Query().Get("profile")), nil)
	})
	mux.HandleFunc("GET /routes", routes(a))
	mux.HandleFunc("POST /mint", func(w http.ResponseWriter, r *http.Request) {
		cert, err := a.Mint(r.Context(), r.URL.Query().Get("profile"))
		reply(w, cert, err)
	})
	mux.HandleFunc("POST /forget", func(w http.ResponseWriter, r *http.Request) {
		reply(w, struct{}{}, a.Forget(r.URL.Query().Get("profile")))
	})
	mux.HandleFunc("POST /reload", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, struct{}{}, a.Reload())
	})
	return &http.Server{Handler: mux, ReadTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10}
}

func reply(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusUnprocessableEntity)
		v = fault{err.Error()}
	}
	_ = json.NewEncoder(w).Encode(v) // the client went away: nobody is left to tell
}
