// A real OpenID provider (npm's oidc-provider) on this machine: whoever types a name is somebody of that name, and belongs to
// a group of the same name. Arguments: its address, its port, where to send browsers back, our secret.
import Provider from "oidc-provider";

const [issuer, port, redirect, secret] = process.argv.slice(2);
const provider = new Provider(issuer, {
  clients: [{ client_id: "bell", client_secret: secret, redirect_uris: [redirect], response_types: ["code"], grant_types: ["authorization_code"] }],
  claims: { openid: ["sub"], profile: ["preferred_username", "groups"] },
  conformIdTokenClaims: false,
  cookies: { keys: ["only for tests"] },
  findAccount: (_context, id) => ({
    accountId: id,
    claims: () => ({ sub: id, preferred_username: id, groups: [id] }),
  }),
});
provider.listen(Number(port), "127.0.0.1");
