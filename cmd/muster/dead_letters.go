package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

func deadLettersCommand() *cobra.Command {
	return withSubscriptions(&cobra.Command{
		Use: "dead-letters NAME", Short: "List the events that a receiver did not accept", Args: cobra.ExactArgs(1),
	}, func(ctx context.Context, c subscriptionCall) error {
		var all []*musterv1.DeadLetter
		for token, more := "", true; more; more = token != "" {
			page, err := c.client.ListDeadLetters(ctx, &musterv1.ListDeadLettersRequest{Tenant: c.tenant, Subscription: c.args[0], PageToken: token})
			if err != nil {
				return err
			}
			token = page.GetNextPageToken()
			all = append(all, page.GetDeadLetters()...)
		}
		if c.asJSON {
			return printList(c.cmd.OutOrStdout(), all)
		}
		var rows [][]string
		for _, l := range all {
			state := "dead"
			if l.GetRetrying() {
				state = "retrying"
			}
			rows = append(rows, []string{l.GetId(), strconv.FormatInt(l.GetPosition(), 10), l.GetResourceType() + "/" + l.GetResourceId(), strings.Join(l.GetEvents(), ","),
				state, strconv.Itoa(int(l.GetAttempts())), forPeople(timeOf(l.GetDeathTime()), ""), l.GetReason()})
		}
		return printTable(c.cmd.OutOrStdout(), "ID | POSITION | RESOURCE | EVENTS | STATE | ATTEMPTS | SINCE | REASON", rows)
	})
}

func deadLettersRetryCommand() *cobra.Command {
	return withSubscriptions(&cobra.Command{
		Use: "retry NAME [ID]...", Short: "Deliver dead letters again; without ids all of them", Args: cobra.MinimumNArgs(1),
	}, func(ctx context.Context, c subscriptionCall) error {
		out, err := c.client.RetryDeadLetters(ctx, &musterv1.RetryDeadLettersRequest{Tenant: c.tenant, Subscription: c.args[0], Ids: c.args[1:]})
		if err != nil {
			return err
		}
		return c.tell(out, "%d dead letters are delivered again", out.GetDeadLetters())
	})
}

func deadLettersDiscardCommand() *cobra.Command {
	return withSubscriptions(&cobra.Command{
		Use: "discard NAME [ID]...", Short: "Give dead letters up for ever; without ids all of them", Args: cobra.MinimumNArgs(1),
	}, func(ctx context.Context, c subscriptionCall) error {
		out, err := c.client.DiscardDeadLetters(ctx, &musterv1.DiscardDeadLettersRequest{Tenant: c.tenant, Subscription: c.args[0], Ids: c.args[1:]})
		if err != nil {
			return err
		}
		return c.tell(out, "%d dead letters are gone", out.GetDeadLetters())
	})
}

func rotateKeyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate-key",
		Short: "Make another key that the tokens of all tenants are signed with",
		Long: `Make another key that the tokens of all tenants are signed with. It is published at
once and signs ten minutes later; the old one stays published for a week. With
--remove-old nothing that an old key has signed is to be believed any more: the new one
signs at once, and the old ones are gone.`,
		Args: cobra.NoArgs,
	}
	removeOld := cmd.Flags().Bool("remove-old", false, "the old keys are not to be trusted any more")
	return withSubscriptions(cmd, func(ctx context.Context, c subscriptionCall) error {
		out, err := c.client.RotateSigningKey(ctx, &musterv1.RotateSigningKeyRequest{RemoveOld: *removeOld})
		if err != nil {
			return err
		}
		return c.tell(out, "the new key is %s", out.GetKeyId())
	})
}
