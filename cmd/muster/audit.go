package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/muster-scim/muster/console"
	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

func auditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Read, export and verify the audit log",
		Long: `Read, export and verify the audit log: every write and every call of an
administrator, whatever came of it, and every refused attempt. Each tenant has a
log of its own; --tenant - is that of attempts without a valid credential.` + whereHelp,
		Example: `  muster audit list --failures --since 24h
  muster audit export --after 1200 >> audit.jsonl
  muster audit verify --head 1200:9f86d0…`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(auditListCommand(), auditExportCommand(), auditVerifyCommand())
	return cmd
}

// addAuditFilters gives a command the flags that select events, and returns what
// makes a request of them.
func addAuditFilters(cmd *cobra.Command) func() (*musterv1.ListAuditEventsRequest, error) {
	req := &musterv1.ListAuditEventsRequest{}
	tenant := addTenant(cmd)
	flags := cmd.Flags()
	since := flags.String("since", "", "from this time on: 2026-01-31, 2026-01-31T12:00:00Z, or a time ago, such as 24h or 7d")
	until := flags.String("until", "", "before this time")
	flags.BoolVar(&req.Failures, "failures", false, "only what did not succeed")
	flags.BoolVar(&req.WithoutReads, "without-reads", false, "leave out what only read, and succeeded")
	flags.StringVar(&req.Outcome, "outcome", "", "ok, or the reason of an error, such as forbidden")
	flags.StringVar(&req.Method, "method", "", "the RPC, such as DeleteUser")
	flags.StringVar(&req.ResourceType, "type", "", "the resource type, such as User")
	flags.StringVar(&req.ResourceId, "id", "", "the id of the resource; the name of a tenant; TENANT/NAME of a credential")
	flags.StringVar(&req.Credential, "credential", "", "the name of the credential that asked")
	flags.StringVar(&req.Operator, "operator", "", "the human behind it")
	flags.StringVar(&req.Address, "address", "", "where it came from")
	flags.StringVar(&req.RequestId, "request-id", "", "the request id, as in the server's log and the client's answer")
	return func() (_ *musterv1.ListAuditEventsRequest, err error) {
		req.Tenant = *tenant
		if req.StartTime, err = parseMoment("since", *since); err != nil {
			return nil, err
		}
		req.EndTime, err = parseMoment("until", *until)
		return req, err
	}
}

// parseMoment reads a point in time, or how long it is ago; nil: none is given.
func parseMoment(flag, text string) (*timestamppb.Timestamp, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // as the contract has it
	}
	if ago, err := parseSpan(text); err == nil {
		return timestamppb.New(time.Now().Add(-ago)), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, time.DateOnly} {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil { //nolint:gosmopolitan // as the operator's clock shows it
			return timestamppb.New(at), nil
		}
	}
	return nil, fmt.Errorf("--%s is %q; use 2026-01-31, 2026-01-31T12:00:00Z, or a time ago, such as 24h", flag, text)
}

// withAudit gives a command the flags of ask, and what it does.
func withAudit(cmd *cobra.Command, do func(ctx context.Context, cmd *cobra.Command, c musterv1.AuditServiceClient) error) *cobra.Command {
	addDial(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return ask(cmd, func(ctx context.Context, conn grpc.ClientConnInterface) error {
			return do(ctx, cmd, musterv1.NewAuditServiceClient(conn))
		})
	}
	return cmd
}

// eachEvent calls f with the pages of a request, until it is enough.
func eachEvent(ctx context.Context, c musterv1.AuditServiceClient, req *musterv1.ListAuditEventsRequest, f func([]*musterv1.AuditEvent) (enough bool, err error)) error {
	for {
		page, err := c.ListAuditEvents(ctx, req)
		if err != nil {
			return err
		}
		enough, err := f(page.GetEvents())
		if req.PageToken = page.GetNextPageToken(); err != nil || enough || req.GetPageToken() == "" {
			return err
		}
	}
}

func auditListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List events, the newest first",
		Example: `  muster audit list --failures --since 24h
  muster audit list --type User --id 01a2142f-3573-77dd-8d58-bc16d20cae65
  muster audit list --tenant - --address 192.0.2.7`,
		Args: cobra.NoArgs,
	}
	request := addAuditFilters(cmd)
	limit := cmd.Flags().Int("limit", 50, "how many at most")
	asJSON := addJSON(cmd)
	return withAudit(cmd, func(ctx context.Context, cmd *cobra.Command, c musterv1.AuditServiceClient) error {
		req, err := request()
		if err != nil {
			return err
		}
		var all []*musterv1.AuditEvent
		req.PageSize = int32(min(max(*limit, 1), 1000))
		err = eachEvent(ctx, c, req, func(events []*musterv1.AuditEvent) (bool, error) {
			all = append(all, events...)
			return len(all) >= *limit, nil
		})
		if err != nil {
			return err
		}
		all = all[:min(len(all), max(*limit, 0))]
		if *asJSON {
			return printList(cmd.OutOrStdout(), all)
		}
		return printEvents(cmd.OutOrStdout(), all)
	})
}

func printEvents(w io.Writer, all []*musterv1.AuditEvent) error {
	var rows [][]string
	for _, e := range all {
		_, method, _ := strings.Cut(e.GetMethod(), "/")
		outcome := e.GetOutcome()
		if e.GetPreview() {
			outcome += " (preview)"
		}
		who := cmp.Or(e.GetCredential(), "-")
		if e.GetOperator() != "" {
			who += " (" + e.GetOperator() + ")"
		}
		rows = append(rows, []string{forPeople(timeOf(e.GetTime()), ""), cmp.Or(method, e.GetMethod()), strings.TrimSpace(e.GetResourceType() + " " + e.GetResourceId()),
			outcome, who, e.GetAddress(), e.GetDetail()})
	}
	return printTable(w, "TIME | METHOD | WHAT | OUTCOME | WHO | FROM | DETAIL", rows)
}

func auditExportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Print events as JSON lines, in the order of the chain",
		Long: `Print events as JSON, one a line, in the order of the chain, from the first or after
the sequence of --after. Events are there once they are sealed, about a second after
they were written. Whoever goes on after the last sequence that was printed misses
nothing.` + whereHelp,
		Example: `  muster audit export > audit.jsonl
  muster audit export --after 1200 --follow | send-to-siem`,
		Args: cobra.NoArgs,
	}
	request := addAuditFilters(cmd)
	after := cmd.Flags().Int64("after", 0, "go on after the event with this sequence")
	follow := cmd.Flags().Bool("follow", false, "wait for more, until interrupted")
	return withAudit(cmd, func(ctx context.Context, cmd *cobra.Command, c musterv1.AuditServiceClient) error {
		req, err := request()
		if err != nil {
			return err
		}
		req.Order, req.AfterSequence, req.PageSize = musterv1.ListAuditEventsRequest_ORDER_CHAIN, *after, 500
		for {
			err := eachEvent(ctx, c, req, func(events []*musterv1.AuditEvent) (bool, error) {
				if n := len(events); n > 0 {
					req.AfterSequence = events[n-1].GetSequence()
				}
				return false, console.WriteEvents(cmd.OutOrStdout(), events)
			})
			if *follow && ctx.Err() != nil {
				err = nil // interrupted: that is how it ends
			}
			if err != nil || !*follow {
				return err
			}
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return nil
			}
		}
	})
}

func auditVerifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Compute the chain of events again, and tell whether it is whole",
		Long: `Compute the chain of a tenant's events again. It is whole if no event was changed,
removed or inserted since it was sealed. The exit code is 1 if it is not.

Keep the head that is printed where nobody who can write the database can reach it.
Given to a later run with --head it also proves that the end was not cut off, and
that the chain was not computed anew.` + whereHelp,
		Example: `  muster audit verify
  muster audit verify --head 1200:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08`,
		Args: cobra.NoArgs,
	}
	tenant := addTenant(cmd)
	head := cmd.Flags().String("head", "", "SEQUENCE:HASH of an earlier run, which must still be in the chain")
	asJSON := addJSON(cmd)
	return withAudit(cmd, func(ctx context.Context, cmd *cobra.Command, c musterv1.AuditServiceClient) error {
		req := &musterv1.VerifyAuditLogRequest{Tenant: *tenant}
		var err error
		if req.Head, err = parseHead(*head); err != nil {
			return err
		}
		v, err := c.VerifyAuditLog(ctx, req)
		if err != nil {
			return err
		}
		if *asJSON {
			err = printJSON(cmd.OutOrStdout(), v)
		} else {
			err = printVerification(cmd.OutOrStdout(), v)
		}
		if err == nil && !v.GetWhole() {
			err = errFailed
		}
		return err
	})
}

// parseHead reads SEQUENCE:HASH; nil: there is none.
func parseHead(text string) (*musterv1.AuditHead, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // as the contract has it
	}
	number, hash, _ := strings.Cut(text, ":")
	sequence, err := strconv.ParseInt(number, 10, 64)
	sum, notHex := hex.DecodeString(hash)
	if err != nil || notHex != nil || sequence <= 0 || len(sum) != 32 {
		return nil, errors.New("--head is SEQUENCE:HASH as `muster audit verify` prints it")
	}
	return &musterv1.AuditHead{Sequence: sequence, Hash: sum}, nil
}

func printVerification(w io.Writer, v *musterv1.VerifyAuditLogResponse) error {
	facts := [][2]string{{"chain", "whole"}}
	if !v.GetWhole() {
		facts = [][2]string{{"chain", "BROKEN"}, {"problem", v.GetProblem()}}
	}
	head := v.GetHead()
	switch {
	case head.GetSequence() < v.GetFirstSequence():
		facts = append(facts, [2]string{"events", "none is sealed"})
	default:
		facts = append(facts, [2]string{"events", fmt.Sprintf("%d to %d", v.GetFirstSequence(), head.GetSequence())},
			[2]string{"head", fmt.Sprintf("%d:%x", head.GetSequence(), head.GetHash())})
	}
	return printFacts(w, append(facts, [2]string{"not sealed yet", strconv.FormatInt(v.GetUnsealed(), 10)}))
}
