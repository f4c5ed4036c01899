//! The texts of the configuration files.

use std::path::Path;

use super::{DOMAIN, PROCESSED, Ports};

/// Who the servers run as.
#[derive(Clone, Debug)]
pub(super) struct RunAs {
    pub(super) user: String,
    pub(super) group: String,
}

/// Ends both servers when standard input ends, which it also does when the test process is killed.
pub(super) const SUPERVISOR: &str = r#"
folder=$1 listen=$2
export PATH="$PATH:/usr/sbin:/sbin"
umask 022
dovecot -F -c "$folder/dovecot.conf" >"$folder/log/dovecot.out" 2>&1 &
dovecot=$!
exim4 -C "$folder/exim.conf" -bdf -q2s -oX "$listen" >"$folder/log/exim.out" 2>&1 &
exim=$!
read -r _
kill "$dovecot" "$exim" 2>/dev/null
wait
rm -rf "$folder"
"#;

/// Dovecot's passwd-file.
pub(super) fn dovecot_users(users: &[(String, String)]) -> String {
    users.iter().map(|(name, password)| format!("{name}:{{PLAIN}}{password}::::::\n")).collect()
}

/// Exim's file of the same.
pub(super) fn exim_logins(users: &[(String, String)]) -> String {
    users.iter().map(|(name, password)| format!("{name}: {password}\n")).collect()
}

/// `greeting` tells our server from another that took the port.
pub(super) fn dovecot(folder: &Path, ports: Ports, run_as: &RunAs, greeting: &str) -> String {
    let RunAs { user, group } = run_as;
    let Ports { imap, imaps, .. } = ports;
    let folder = folder.display();
    format!(
        r"
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log/dovecot.log
protocols = imap lmtp
listen = 127.0.0.1
login_greeting = {greeting}
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 1
first_valid_gid = 1
mail_uid = {user}
mail_gid = {group}
mail_location = maildir:{folder}/mail/%n
mail_home = {folder}/mail/%n
auth_mechanisms = plain login
disable_plaintext_auth = no
# A wrong password is answered at once.
auth_failure_delay = 0
mail_max_userip_connections = 100
# Only the mail exchanger writes a Received line.
lmtp_add_received_header = no
recipient_delimiter = +
ssl = yes
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%n {folder}/users
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={folder}/mail/%n
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Sent {{
    auto = create
    special_use = \Sent
  }}
  mailbox {PROCESSED} {{
    auto = create
  }}
}}
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    address = 127.0.0.1
    port = {imap}
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {imaps}
    ssl = yes
  }}
}}
service lmtp {{
  chroot =
  unix_listener lmtp {{
    mode = 0600
  }}
}}
service stats {{
  chroot =
}}
service auth {{
  unix_listener auth-client {{
    mode = 0600
  }}
}}
"
    )
}

pub(super) fn exim(folder: &Path, ports: Ports, run_as: &RunAs, greeting: &str) -> String {
    let RunAs { user, group } = run_as;
    let Ports { smtps, .. } = ports;
    let folder = folder.display();
    let results = format!("add_header = :at_start:Authentication-Results: {DOMAIN};");
    // The From line is the sender's text: it enters a header only as an address that Exim itself parsed.
    let from = "${lc:${address:$h_from:}}";
    let login = format!("${{lc:$authenticated_id}}@{DOMAIN}");
    format!(
        r"
spool_directory = {folder}/exim
log_file_path = {folder}/log/exim-%slog
primary_hostname = {DOMAIN}
smtp_banner = {greeting} ESMTP
domainlist local_domains = {DOMAIN} : localhost
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = acl_data
tls_advertise_hosts = *
tls_certificate = {folder}/cert.pem
tls_privatekey = {folder}/key.pem
tls_on_connect_ports = {smtps}
host_lookup =
rfc1413_query_timeout = 0s
keep_environment =
never_users =
exim_user = {user}
exim_group = {group}
trusted_users = {user}
# Each message is delivered at once, however many come on one connection.
smtp_accept_queue_per_connection = 0
smtp_accept_max = 100
queue_run_max = 2
message_size_limit = 60M
begin acl
acl_rcpt:
  accept domains = +local_domains
  accept authenticated = *
  deny message = relay not permitted
acl_data:
  warn condition = ${{if and{{{{def:authenticated_id}}{{eq{{{from}}}{{{login}}}}}}}}}
       {results} auth=pass smtp.auth=$authenticated_id; dmarc=pass (p=reject) header.from={DOMAIN}
       set acl_m_judged = yes
  warn condition = ${{if and{{{{!def:acl_m_judged}}{{eq{{${{domain:{from}}}}}{{{DOMAIN}}}}}}}}}
       {results} dmarc=fail (p=reject) header.from={DOMAIN}
       set acl_m_judged = yes
  warn condition = ${{if !def:acl_m_judged}}
       {results} dmarc=none header.from=${{domain:{from}}}
  accept
begin routers
lmtp_all:
  driver = accept
  domains = +local_domains
  transport = dovecot_lmtp
begin transports
dovecot_lmtp:
  driver = lmtp
  socket = {folder}/run/lmtp
  return_path_add
  envelope_to_add
begin retry
* * F,1m,1s
begin rewrite
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{!eq{{$auth3}}{{}}}}{{eq{{$auth3}}{{${{lookup{{${{sg{{$auth2}}{{@.*}}{{}}}}}}lsearch{{{folder}/logins}}}}}}}}}}}}
  server_set_id = ${{sg{{$auth2}}{{@.*}}{{}}}}
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${{if and{{{{!eq{{$auth2}}{{}}}}{{eq{{$auth2}}{{${{lookup{{${{sg{{$auth1}}{{@.*}}{{}}}}}}lsearch{{{folder}/logins}}}}}}}}}}}}
  server_set_id = ${{sg{{$auth1}}{{@.*}}{{}}}}
"
    )
}
