# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What nginx's role refuses, in the words that a user reads, and what its configuration is made of."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Application, Platform, Site
from ansible_collections.scaleout.platform.plugins.module_utils.services import nginx
from ansible_collections.scaleout.platform.plugins.module_utils.services.listen import Listen, fights, is_port

SHOP = {"name": "shop", "service": "shop"}


def platform(**variables):
    return Platform({"lb1": {"nginx_status_port": 8081, "nginx_sites": [SHOP], **variables}})


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"nginx_sites": []},
        {"nginx_default_site": "shop"},
        {"nginx_default_site": ""},
        {"nginx_sites": [{**SHOP, "listen": ["443", "[::]:443", "unix:/run/shop.sock"]}]},
        {"nginx_sites": [{**SHOP, "tls": {"self_signed": True}}]},
        {"nginx_status_port": "8081"},
    ],
)
def test_no_problem(variables):
    assert nginx.problems(platform(**variables), "lb1") == []


@pytest.mark.parametrize(
    ("variables", "code", "said"),
    [
        (
            {"nginx_sites": [{**SHOP, "service": "my shop"}]},
            "bad_name",
            'lb1: nginx_sites has the service "my shop"; its name must be letters, digits, - and _, at most 63, '
            "and begin with a letter or a digit.",
        ),
        (
            {"nginx_sites": [{**SHOP, "service": "s" * 64}]},
            "bad_name",
            f'lb1: nginx_sites has the service "{"s" * 64}"; its name must be letters, digits, - and _, at most 63, '
            "and begin with a letter or a digit.",
        ),
        (
            {"nginx_default_site": "blog"},
            "unknown_site",
            'lb1: nginx_default_site names "blog", which is no site.',
        ),
        ({"nginx_sites": [SHOP, SHOP]}, "duplicate", 'lb1: nginx_sites has the site "shop" twice.'),
        (
            {"nginx_sites": [{**SHOP, "listen": "http"}]},
            "bad_port",
            'lb1: nginx_sites listens on "http", which is not a port.',
        ),
        (
            {"nginx_sites": [{**SHOP, "listen": 70000}]},
            "bad_port",
            'lb1: nginx_sites listens on "70000", which is not a port.',
        ),
        (
            {"nginx_sites": [{**SHOP, "internal_paths": ["/a b"]}]},
            "bad_path",
            'lb1: the site "shop" has the internal path "/a b"; it must begin with a slash, be more than that, and '
            "have letters, digits and . _ ~ / - only.",
        ),
        (
            {"nginx_internal_paths": ["/"]},
            "bad_path",
            'lb1: the site "shop" has the internal path "/"; it must begin with a slash, be more than that, and '
            "have letters, digits and . _ ~ / - only.",
        ),
        (
            {"nginx_status_port": 0},
            "bad_port",
            "lb1: nginx_status_port is 0; a port is between 1 and 65535.",
        ),
    ],
)
def test_problems(variables, code, said):
    (problem,) = nginx.problems(platform(**variables), "lb1")
    assert (problem.code, str(problem)) == (code, said)


def served(*applications, groups=None, **variables):
    """Load balancers and applications, each with a service of its name."""
    hosts = {
        "lb1": {"nginx_status_port": 8081, "nginx_sites": [], **variables},
        "api1": {"platform_address": "192.0.2.1"},
        "api2": {"platform_address": "2001:db8::2"},
        "spare": {"platform_address": "192.0.2.9"},
    }
    groups = {"api": ["api1", "api2", "spare"], "fleet_idle": ["spare"]}
    return Platform(hosts, groups, applications={one.name: one for one in applications})


def shop(name="shop", *server_names, listen=("80",), **options):
    return Application(
        name,
        "api",
        "scaleout.platform.app",
        name,
        8000,
        site=Site(server_names or (f"{name}.example",), listen, options),
    )


def test_the_site_of_an_application_is_declared_in_its_entry():
    made = served(shop(proxy_read_timeout="60s"), Application("worker", "api", "acme.worker", "worker"))
    assert nginx.problems(made, "lb1") == []
    wanted = nginx.wanted(made, "lb1", None)
    assert wanted["sites"] == [
        {
            "name": "shop",
            "service": "shop",
            "server_name": ["shop.example"],
            "listen": ["80"],
            "proxy_read_timeout": "60s",
            "internal_paths": [],
            "redirect": "",
            "redirect_listen": ["80"],
            "tls": {},
        }
    ]
    assert (wanted["default_site"], wanted["units"]) == ("shop", ["nginx-upstream@shop.service"])
    assert wanted["seeds"] == {"shop": ["192.0.2.1:8000", "[2001:db8::2]:8000"]}


def test_a_site_by_hand_wins_or_adds():
    by_hand = [{"name": "shop", "service": "shop", "listen": 8080}, {"name": "other", "service": "blog"}]
    made = served(shop(), shop("blog"), nginx_sites=by_hand, nginx_seed_servers={"blog": ["192.0.2.5:1"]})
    assert nginx.problems(made, "lb1") == []
    wanted = nginx.wanted(made, "lb1", None)
    assert [(site["name"], site["service"]) for site in wanted["sites"]] == [
        ("shop", "shop"),
        ("blog", "blog"),
        ("other", "blog"),
    ]
    # What answers requests for an unknown name stays what it was.
    assert wanted["default_site"] == "shop"
    assert wanted["seeds"]["blog"] == ["192.0.2.5:1"]


@pytest.mark.parametrize(
    ("applications", "variables", "code", "said"),
    [
        (
            [shop("kinto")],
            {"nginx_sites": [{"name": "api", "service": "api"}], "nginx_seed_servers": {"api": ["192.0.2.1:8000"]}},
            "unknown_service",
            'lb1: nginx_sites has the service "api", which no application runs (they run kinto); correct it, or say '
            "external: true where something else registers it.",
        ),
        (
            [shop("shop", "Shop.example"), shop("blog", "blog.example", "shop.example")],
            {},
            "site_taken",
            'lb1: the sites "shop" and "blog" both have the server_name shop.example on 80; give each its own, or '
            "another port.",
        ),
        (
            [shop("blog", "shop.example", listen=("8080",)), shop(listen=("8080 default_server", "80"))],
            {},
            "site_taken",
            'lb1: the sites "blog" and "shop" both have the server_name shop.example on 8080; give each its own, or '
            "another port.",
        ),
    ],
)
def test_h12_sites_that_fit_no_application_or_each_other(applications, variables, code, said):
    problems = nginx.problems(served(*applications, **variables), "lb1")
    assert [(problem.code, str(problem)) for problem in problems] == [(code, said)]


@pytest.mark.parametrize(
    ("applications", "variables"),
    [
        ([], {"nginx_sites": [SHOP]}),
        ([shop("blog")], {"nginx_sites": [{**SHOP, "external": True}]}),
        ([shop("blog")], {"nginx_sites": [SHOP], "nginx_consul": False}),
        ([shop("blog")], {"nginx_sites": [SHOP], "nginx_consul": "false"}),
        ([shop(), shop("blog", "shop.example", listen=("8080",))], {}),
    ],
)
def test_sites_that_fit(applications, variables):
    assert nginx.problems(served(*applications, **variables), "lb1") == []


@pytest.mark.parametrize(
    ("listen", "port"),
    [
        ("80", 80),
        ("[::]:8080", 8080),
        ("443 ssl", 443),
        ("10.0.0.1:81 default_server", 81),
        ("unix:/x", None),
        ("", None),
    ],
)
def test_the_port_of_a_listen(listen, port):
    assert nginx.port_of(listen) == port


def test_what_the_role_works_from():
    sites = [{**SHOP, "listen": [8080, "443 ssl"]}, {"name": "api", "service": "api"}]
    wanted = nginx.wanted(platform(nginx_sites=sites, nginx_seed_servers={"api": ["10.0.0.1:8000"]}), "lb1", None)
    assert wanted["default_site"] == "shop"
    assert wanted["listens"] == ["8080", "443 ssl", "80"]
    assert wanted["port"] == 8080
    assert wanted["units"] == ["nginx-upstream@api.service", "nginx-upstream@shop.service"]
    assert wanted["seeds"] == {"api": ["10.0.0.1:8000"], "shop": []}


@pytest.mark.parametrize(
    ("site", "paths"),
    [
        ({}, ["/metrics", "/readyz"]),
        ({"internal_paths": []}, []),
        ({"internal_paths": ["/admin", "/admin"]}, ["/admin"]),
        ({"internal_paths": "/admin"}, ["/admin"]),
    ],
)
def test_x1_paths_that_a_site_does_not_publish(site, paths):
    variables = {"nginx_sites": [{**SHOP, **site}], "nginx_internal_paths": ["/metrics", "/readyz"]}
    assert nginx.wanted(platform(**variables), "lb1", None)["sites"][0]["internal_paths"] == paths


@pytest.mark.parametrize(
    ("variables", "folders", "rotated"),
    [
        ({}, [], []),
        ({"nginx_access_log": "/var/log/nginx/shop.log"}, ["/var/log/nginx"], []),
        ({"nginx_access_log": "/var/log/nginx/shop.json"}, ["/var/log/nginx"], ["/var/log/nginx/shop.json"]),
        (
            {"nginx_access_log": "/data/logs/access.log", "nginx_error_log": "/data/logs/error.log"},
            ["/data/logs"],
            ["/data/logs/access.log", "/data/logs/error.log"],
        ),
        ({"nginx_access_log": "syslog:server=unix:/dev/log", "nginx_error_log": "/dev/stderr"}, [], []),
        # Whoever names files by what a request says knows when they can go.
        ({"nginx_http_extra": "access_log /data/$host.log;"}, ["/data"], []),
        (
            {"nginx_http_extra": 'error_log "/home/ops/e.log" warn;\naccess_log off;'},
            ["/home/ops"],
            ["/home/ops/e.log"],
        ),
        (
            {"nginx_sites": [{**SHOP, "extra": "  access_log /srv/shop/a.log;"}]},
            ["/srv/shop"],
            ["/srv/shop/a.log"],
        ),
    ],
)
def test_h4_h9_where_the_logs_are_and_which_of_them_are_ours_to_rotate(variables, folders, rotated):
    wanted = nginx.wanted(platform(**variables), "lb1", None)
    assert (wanted["log_folders"], wanted["rotated"]) == (folders, rotated)


@pytest.mark.parametrize(
    ("site", "asked"),
    [
        ({}, [("http://127.0.0.1:80/", "")]),
        ({"server_name": "shop.example"}, [("http://127.0.0.1:80/", "shop.example")]),
        ({"server_name": "_", "listen": 8080}, [("http://127.0.0.1:8080/", "")]),
        ({"server_name": ["shop.example", "b"], "listen": 8080}, [("http://127.0.0.1:8080/", "shop.example:8080")]),
        ({"server_name": "~^x$ *.shop.example", "listen": "443 ssl"}, [("https://127.0.0.1:443/", "www.shop.example")]),
        ({"server_name": ".shop.example", "listen": "8443 ssl"}, [("https://127.0.0.1:8443/", "shop.example:8443")]),
        (
            {"server_name": "shop.example", "tls": {"self_signed": True}},
            [("https://127.0.0.1:443/", "shop.example"), ("http://127.0.0.1:80/", "shop.example")],
        ),
        ({"tls": {"self_signed": True, "redirect": False}}, [("https://127.0.0.1:443/", "")]),
        ({"server_name": "shop.*"}, [("http://127.0.0.1:80/", "shop.test")]),
        ({"listen": ["*:80", "[::]:80 ipv6only=on"]}, [("http://127.0.0.1:80/", ""), ("http://[::1]:80/", "")]),
        (
            {"listen": ["192.0.2.1:81 default_server", "[fd00::1]:82"]},
            [("http://192.0.2.1:81/", ""), ("http://[fd00::1]:82/", "")],
        ),
        # What no client of HTTP can ask.
        ({"listen": ["unix:/run/shop.sock", "80 proxy_protocol", "443 quic"]}, []),
    ],
)
def test_h8_a_site_is_asked_for_what_it_serves(site, asked):
    questions = nginx.questions(platform(nginx_sites=[{**SHOP, **site}]), "lb1")
    assert [(each.url, each.host) for each in questions] == asked


@pytest.mark.parametrize(
    ("status", "text", "fault"),
    [
        (200, "", ""),
        (301, "", ""),
        (400, "Bad Request", ""),
        (404, "", ""),
        (0, "Connection refused", " did not answer (Connection refused)"),
        (502, "<html>Bad Gateway</html>", " answered 502"),
        (503, '{"error":\n "no_server"}', ' answered 503 ({"error": "no_server"})'),
        (500, "", " answered 500"),
    ],
)
def test_h8_what_an_answer_means(status, text, fault):
    question = nginx.Question("shop", "http://127.0.0.1:80/", "shop.example")
    asked = "the site shop at http://127.0.0.1:80/ (Host: shop.example)"
    assert nginx.fault_of_answer(question, status, text) == (asked + fault if fault else "")


@pytest.mark.parametrize(
    ("address", "site", "listens", "redirected"),
    [
        ("192.0.2.1", {}, ["80"], ["80"]),
        ("fd00::1", {}, ["80", "[::]:80"], ["80", "[::]:80"]),
        ("fd00::1", {"tls": {"self_signed": True}}, ["443 ssl", "[::]:443 ssl"], ["80", "[::]:80"]),
        ("fd00::1", {"listen": [80, "[::]:80"]}, ["80", "[::]:80"], ["80", "[::]:80"]),
        ("fd00::1", {"listen": ["192.0.2.1:80", "*:81"]}, ["192.0.2.1:80", "*:81"], ["80", "[::]:80"]),
    ],
)
def test_clients_of_a_host_with_ipv6_come_by_it(address, site, listens, redirected):
    made = Platform({"lb1": {"platform_address": address, "nginx_sites": [{**SHOP, **site}]}})
    (facts,) = nginx.wanted(made, "lb1", None)["sites"]
    assert (facts["listen"], facts["redirect_listen"]) == (listens, redirected)


@pytest.mark.parametrize(
    ("site", "listens", "redirect"),
    [
        ({}, ["80"], ""),
        ({"tls": {"self_signed": True}}, ["443 ssl"], "https://$host$request_uri"),
        ({"tls": {"self_signed": True}, "listen": "8443 ssl"}, ["8443 ssl"], "https://$host:8443$request_uri"),
        ({"tls": {"self_signed": True, "redirect": False}}, ["443 ssl"], ""),
        ({"tls": {"self_signed": True}, "listen": [80, "443 ssl"]}, ["80", "443 ssl"], ""),
    ],
)
def test_a_site_with_a_certificate_is_https_only_unless_it_says_otherwise(site, listens, redirect):
    made = platform(nginx_sites=[{**SHOP, **site}])
    (wanted,) = nginx.wanted(made, "lb1", None)["sites"]
    assert (wanted["listen"], wanted["redirect"]) == (listens, redirect)
    ports = {each.port for each in nginx.listens(made, "lb1")} - {8081}
    assert ports == {nginx.port_of(each) for each in listens} | ({80} if redirect else set())


@pytest.mark.parametrize(
    ("site", "code", "said"),
    [
        ({"listen": "443 ssl"}, "no_certificate", 'the site "shop" listens on "443 ssl" and has no tls'),
        (
            {"listen": 80, "tls": {"self_signed": True}},
            "no_certificate",
            'the site "shop" has tls and listens on no port with "ssl"',
        ),
        (
            {"name": "a/b", "tls": {"self_signed": True}},
            "bad_name",
            'the site "a/b" has tls; its name becomes a file, so use letters, digits, ., - and _',
        ),
        (
            {"tls": {"certificate": "x"}},
            "half_of_tls",
            'the site "shop" has a certificate or a key alone; they go together',
        ),
        (
            {"tls": {"redirect": True}},
            "no_certificate",
            'the site "shop" needs either a certificate with its key, or self_signed',
        ),
        (
            {"tls": {"certificate": "x", "key": "y", "self_signed": True}},
            "no_certificate",
            'the site "shop" needs either a certificate with its key, or self_signed',
        ),
        (
            {"tls": {"certificate": "x", "key": "s3cr3t"}},
            "bad_certificate",
            'the site "shop" has no certificate in PEM form',
        ),
    ],
)
def test_certificates_that_are_refused(site, code, said):
    (problem,) = nginx.problems(platform(nginx_sites=[{**SHOP, **site}]), "lb1")
    assert (problem.code, problem.text) == (code, said)


def test_a_key_is_no_part_of_what_the_role_is_told():
    site = {**SHOP, "tls": {"certificate": "x", "key": "s3cr3t"}}
    wanted = nginx.wanted(platform(nginx_sites=[site]), "lb1", None)
    assert "s3cr3t" not in repr(wanted)
    assert wanted["sites"][0]["tls"]["key"] == "/etc/nginx/certificates/shop.key"


def test_a_site_of_ones_own_directives_may_have_a_certificate():
    site = {**SHOP, "listen": "443 ssl", "extra": "ssl_certificate /a; ssl_certificate_key /b;"}
    assert nginx.problems(platform(nginx_sites=[site]), "lb1") == []


def test_without_consul_nothing_is_watched():
    assert nginx.wanted(platform(nginx_consul=False), "lb1", None)["units"] == []
    assert nginx.wanted(platform(nginx_consul=False), "lb1", None)["watched"] == []


def test_an_own_default_site_counts():
    assert nginx.wanted(platform(nginx_default_site=""), "lb1", None)["default_site"] == ""


@pytest.mark.parametrize(
    ("one", "other", "fight"),
    [
        (Listen("a_port", 80, ""), Listen("b_port", 81, ""), False),
        (Listen("a_port", 80, "127.0.0.1"), Listen("b_port", 80, "10.0.0.1"), False),
        (Listen("a_port", 80, "127.0.0.1"), Listen("b_port", 80, "0.0.0.0"), True),
        (Listen("a_port", 80, "10.0.0.1"), Listen("b_port", 80, "10.0.0.1"), True),
    ],
)
def test_two_services_that_want_one_port(one, other, fight):
    said = [str(problem) for problem in fights("vm1", {"nginx": [one], "app": [other]})]
    assert said == (
        ["vm1: b_port of app and a_port of nginx both want port 80; change one of the two."] if fight else []
    )


@pytest.mark.parametrize(
    ("value", "is_one"),
    [(1, True), (65535, True), ("80", True), (0, False), (True, False), ("x", False), (None, False), ("٨", False)],
)
def test_what_is_a_port(value, is_one):
    assert is_port(value) is is_one
