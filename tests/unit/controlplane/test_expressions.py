import time
from itertools import product

import pytest

from heddle.controlplane import expressions
from heddle.controlplane.expression_functions import environment
from heddle.controlplane.expression_values import escaped, has_nul
from heddle.controlplane.expressions import RuleError, check_rules, compile_rules
from heddle.controlplane.kinds import served_kinds

TEXT, WHOLE, NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}


def schema(*rules, **properties):
    spec = {"type": "object", "properties": properties, "x-kubernetes-validations": list(rules)}
    return {"type": "object", "properties": {"spec": spec}}


def checked(spec, *rules, old=None, **properties):
    before = None if old is None else {"spec": old}
    return check_rules({"spec": spec}, before, schema(*rules, **properties))


def messages(*arguments, **options):
    return [cause.message for cause in checked(*arguments, **options)]


# Rules


def test_a_rule_that_holds_says_nothing():
    assert checked({"min": 1, "max": 2}, {"rule": "self.min <= self.max"}, min=WHOLE, max=WHOLE) == []


def test_a_rule_that_does_not_hold_says_its_message_where_it_stands():
    (cause,) = checked(
        {"min": 3, "max": 2}, {"rule": "self.min <= self.max", "message": "min over max"}, min=WHOLE, max=WHOLE
    )
    assert cause == ("FieldValueInvalid", 'Invalid value: "object": min over max', "spec")


@pytest.mark.parametrize(
    ("more", "cause"),
    [
        ({}, ("FieldValueInvalid", "Invalid value: \"object\": failed rule: self.a == 'x'", "spec")),
        ({"messageExpression": "'a is ' + self.a"}, ("FieldValueInvalid", 'Invalid value: "object": a is y', "spec")),
        ({"messageExpression": "self.zz", "message": "m"}, ("FieldValueInvalid", 'Invalid value: "object": m', "spec")),
        ({"messageExpression": "''", "message": "m"}, ("FieldValueInvalid", 'Invalid value: "object": m', "spec")),
        ({"reason": "FieldValueForbidden", "message": "m"}, ("FieldValueForbidden", "Forbidden: m", "spec")),
        ({"reason": "FieldValueRequired", "message": "m"}, ("FieldValueRequired", "Required value: m", "spec")),
        ({"reason": "FieldValueDuplicate"}, ("FieldValueDuplicate", 'Duplicate value: "object"', "spec")),
        ({"fieldPath": ".a", "message": "m"}, ("FieldValueInvalid", 'Invalid value: "object": m', "spec.a")),
        ({"fieldPath": ".a['b.c']", "message": "m"}, ("FieldValueInvalid", 'Invalid value: "object": m', "spec.a.b.c")),
    ],
)
def test_how_a_failure_is_told(more, cause):
    assert checked({"a": "y"}, {"rule": "self.a == 'x'", **more}, a=TEXT) == [cause]


def test_rules_of_items_entries_and_scalars_are_told_where_they_stand():
    short = {**TEXT, "x-kubernetes-validations": [{"rule": "size(self) < 3", "message": "long"}]}
    properties = {
        "list": {"type": "array", "items": {"type": "object", "properties": {"a": short}}},
        "map": {"type": "object", "additionalProperties": short},
    }
    causes = checked({"list": [{"a": "ok"}, {"a": "long"}], "map": {"k": "long"}}, **properties)
    assert [cause.field for cause in causes] == ["spec.list[1].a", "spec.map.k"]
    assert causes[0].message == 'Invalid value: "string": long'


def test_absent_and_null_values_are_held_to_nothing():
    never = {**TEXT, "nullable": True, "x-kubernetes-validations": [{"rule": "false"}]}
    assert checked({}, a=never) == []
    assert checked({"a": None}, a=never) == []


# Rules about changes

FIXED = {**TEXT, "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "fixed"}]}


def test_a_rule_about_changes_says_nothing_of_what_is_new():
    assert checked({"a": "x"}, a=FIXED) == []
    assert checked({"a": "x"}, a=FIXED, old={}) == []
    assert checked({"a": "x"}, a=FIXED, old={"a": "x"}) == []
    assert [cause.field for cause in checked({"a": "x"}, a=FIXED, old={"a": "y"})] == ["spec.a"]


def test_items_are_found_again_by_their_keys_and_only_by_them():
    keyed = {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["n"],
        "items": {"type": "object", "properties": {"n": TEXT, "a": FIXED}},
    }
    old, new = (
        [{"n": "1", "a": "x"}, {"n": "2", "a": "y"}],
        [{"n": "2", "a": "z"}, {"n": "1", "a": "x"}, {"n": "3", "a": "q"}],
    )
    assert [cause.field for cause in checked({"l": new}, l=keyed, old={"l": old})] == ["spec.l[0].a"]
    plain = {key: value for key, value in keyed.items() if not key.startswith("x-")}
    assert checked({"l": new}, l=plain, old={"l": old}) == []


def test_what_a_write_leaves_as_it_was_is_not_held_to_rules_again():
    """Or a rule that is stricter than it was would stop every later write of an old object."""
    strict = {"type": "object", "properties": {"a": TEXT}, "x-kubernetes-validations": [{"rule": "self.a == 'x'"}]}
    spec = {"s": {"a": "old"}, "t": "1"}
    assert checked({**spec, "t": "2"}, s=strict, t=TEXT, old=spec) == []
    assert len(checked({"s": {"a": "new"}}, s=strict, t=TEXT, old=spec)) == 1
    assert len(checked(spec, s=strict, t=TEXT)) == 1
    growing = {**WHOLE, "x-kubernetes-validations": [{"rule": "self > oldSelf"}]}
    assert len(checked({"n": 1}, n=growing, old={"n": 1})) == 1


def test_an_optional_old_value_is_none_of_what_is_new():
    rule = {"rule": "oldSelf.hasValue() || self.a == 'first' // always", "optionalOldSelf": True}
    assert checked({"a": "first"}, rule, a=TEXT) == []
    assert len(checked({"a": "second"}, rule, a=TEXT)) == 1
    assert checked({"a": "second"}, rule, a=TEXT, old={"a": "first"}) == []


# Values


def test_names_that_cel_cannot_write_are_escaped():
    properties = {"namespace": TEXT, "a-b": TEXT, "c.d": TEXT, "e/f": TEXT, "g__h": TEXT}
    rule = (
        "self.__namespace__ + self.a__dash__b + self.c__dot__d + self.e__slash__f + self.g__underscores__h == '12345'"
    )
    spec = {"namespace": "1", "a-b": "2", "c.d": "3", "e/f": "4", "g__h": "5"}
    assert checked(spec, {"rule": rule}, **properties) == []


@pytest.mark.parametrize(
    ("name", "spelt"),
    [
        ("a", "a"),
        ("in", "__in__"),
        ("namespaces", "namespaces"),
        ("a.b-c/d", "a__dot__b__dash__c__slash__d"),
        ("__x", "__underscores__x"),
    ],
)
def test_escaping(name, spelt):
    assert escaped(name) == spelt


def test_keys_of_maps_are_what_they_are():
    labels = {"type": "object", "additionalProperties": TEXT}
    assert checked({"l": {"a-b": "1"}}, {"rule": "self.l['a-b'] == '1' && 'a-b' in self.l"}, l=labels) == []


def test_numbers_are_of_the_type_that_the_schema_says():
    rules = [{"rule": "type(self.n) == double"}, {"rule": "type(self.i) == int"}, {"rule": "type(self.l[0]) == double"}]
    properties = {"n": NUMBER, "i": WHOLE, "l": {"type": "array", "items": NUMBER}}
    assert checked({"n": 1, "i": 2.0, "l": [1]}, *rules, **properties) == []


def test_a_value_is_not_changed():
    spec = {"n": 1, "namespace": "x"}
    checked(spec, {"rule": "true"}, n=NUMBER, namespace=TEXT)
    assert spec == {"n": 1, "namespace": "x"}
    assert type(spec["n"]) is int


# Errors and abuse


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("self.b == 1", "no such key: b evaluating rule: self.b == 1"),
        ("1 / (self.n - self.n) == 1", "divide by zero evaluating rule: 1 / (self.n - self.n) == 1"),
        ("self.n == 9223372036854775807 + self.n", "overflow evaluating rule"),
        ("self.n", "failed rule: self.n"),
        ("url(self.a).getHost() == ''", "evaluating rule: url(self.a)"),
    ],
)
def test_a_rule_that_errs_is_a_cause(rule, said):
    (message,) = messages({"n": 5, "a": "no url"}, {"rule": rule}, n=WHOLE, a=TEXT)
    assert said in message


def test_a_number_that_is_none_for_cel():
    (message,) = messages({"n": 2**70}, {"rule": "self.n > 0"}, n=WHOLE)
    assert "out of range" in message


def test_a_text_with_nul_is_refused_where_there_are_rules():
    (cause,) = checked({"a": "x\0y"}, {"rule": "self.a != 'x'"}, a=TEXT)
    assert "NUL" in cause.message
    (cause,) = checked({"a": "x"}, {"rule": "self == oldSelf"}, a=TEXT, old={"a": "x\0"})
    assert "NUL" in cause.message
    assert check_rules({"a": "\0"}, None, {"type": "object"}) == []


def test_where_a_nul_is():
    assert has_nul([{"a": ["b\0"]}])
    assert has_nul({"\0": 1})
    assert not has_nul({"a": "\\u0000"})


_OUTCOMES = (
    "true",
    "self.a == 1",
    "self.a == 2 // not so",
    "self.b == 1",
    "self.a / 0 == 1",
    "dyn(self.a)",
    "oldSelf.a == 2",
)


@pytest.mark.parametrize("old", [None, {"a": 2}, {"a": 3}])
def test_rules_say_together_what_each_says(monkeypatch: pytest.MonkeyPatch, old: dict[str, int] | None):
    for texts in product(_OUTCOMES, repeat=3):
        found = []
        for apart in (False, True):
            with monkeypatch.context() as patch:
                if apart:
                    patch.setattr(expressions, "_together", lambda rules: None)
                rules = [{"rule": text, "message": str(at)} for at, text in enumerate(texts)]
                properties = {"a": {"type": "integer"}, "b": {"type": "integer"}}
                schema = {"type": "object", "properties": properties, "x-kubernetes-validations": rules}
                found.append(check_rules({"a": 1}, old, schema))
        assert found[0] == found[1], texts


def test_rules_that_all_hold_are_asked_once(monkeypatch: pytest.MonkeyPatch):
    asked = []
    evaluated = expressions._evaluated
    monkeypatch.setattr(expressions, "_evaluated", lambda *given: asked.append(given) or evaluated(*given))
    rules = [{"rule": f"self.a > {number}"} for number in range(-50, 0)]
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "x-kubernetes-validations": rules}
    assert check_rules({"a": 1}, None, schema) == []
    assert len(asked) == 1


def test_a_rule_is_bounded_in_its_steps():
    numbers = {"type": "array", "items": WHOLE}
    began = time.perf_counter()
    rule = "self.l.all(a, self.l.all(b, self.l.all(c, a + b + c >= 0)))"
    (message,) = messages({"l": list(range(500))}, {"rule": rule}, l=numbers)
    assert "too many steps" in message
    assert time.perf_counter() - began < 1


def test_an_object_is_bounded_in_its_evaluations():
    listed = {"type": "array", "items": {**WHOLE, "x-kubernetes-validations": [{"rule": "self >= 0"}]}}
    began = time.perf_counter()
    (message,) = messages({"l": list(range(200_000))}, l=listed)
    assert "running out of cost budget" in message
    assert time.perf_counter() - began < 5


def test_an_object_is_bounded_in_its_time():
    """Each of these stays within the steps of one evaluation, and there are many of them."""
    slow = {"rule": "self.l.all(a, self.l.all(b, a + b >= 0))"}
    item = {
        "type": "object",
        "properties": {"l": {"type": "array", "items": WHOLE}},
        "x-kubernetes-validations": [slow],
    }
    began = time.thread_time()
    causes = checked({"i": [{"l": list(range(90))}] * 5000}, i={"type": "array", "items": item})
    assert "running out of cost budget" in causes[-1].message + causes[0].message
    assert time.thread_time() - began < 3


def test_causes_are_bounded():
    listed = {"type": "array", "items": {**WHOLE, "x-kubernetes-validations": [{"rule": "self < 0"}]}}
    assert len(checked({"l": list(range(1000))}, l=listed)) == 64


def test_no_pattern_is_slow():
    began = time.perf_counter()
    assert checked({"a": "a" * 100_000 + "!"}, {"rule": "self.a.matches('^(a+)+$')"}, a=TEXT)
    assert checked({"a": "a" * 100_000 + "!"}, {"rule": "self.a.find('^(a+)+$') != ''"}, a=TEXT)
    assert time.perf_counter() - began < 2


# Rules that are none


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ({"rule": "self.a =="}, "rule 0"),
        ({"rule": "nonsense(self)"}, "undeclared reference"),
        ({"rule": "other.a == 1"}, "undeclared reference"),
        ({"rule": "'text'"}, "is of type STRING, not BOOL"),
        ({"rule": ""}, "a rule is a text"),
        ({"rule": 5}, "a rule is a text"),
        ({"rule": "true || " * 5000 + "true"}, "a rule is a text of at most"),
        ({"rule": "self.a == 'x\0'"}, "without NUL"),
        ({"rule": r"self.a == '\x00'"}, "NUL"),
        ({"rule": "true", "reason": "Whatever"}, "reason is one of"),
        ({"rule": "true", "fieldPath": "a"}, "fieldPath"),
        ({"rule": "true", "fieldPath": ".a[0]"}, "fieldPath"),
        ({"rule": "true", "messageExpression": "1"}, "not STRING"),
        ({"rule": "(" * 500 + "true" + ")" * 500}, "rule 0"),
    ],
)
def test_a_rule_that_cannot_be_used_is_refused_with_its_place(rule, why):
    with pytest.raises(RuleError, match="spec rule 0") as refused:
        compile_rules(schema(rule))
    assert why in str(refused.value)


@pytest.mark.parametrize("rules", [5, "x", [5], {"a": 1}])
def test_rules_that_are_no_list_of_rules(rules):
    with pytest.raises(RuleError, match="malformed"):
        compile_rules({"type": "object", "x-kubernetes-validations": rules})


def test_a_schema_is_compiled_once():
    given = schema({"rule": "true"})
    assert compile_rules(given) is compile_rules(given)
    assert compile_rules({"type": "object"}) is None


@pytest.mark.parametrize("kind", list(served_kinds()), ids=lambda kind: kind.resource)
def test_every_rule_of_ours_compiles(kind):
    compile_rules(kind.schema)


# Functions


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("isURL('http://a/b')", True),
        ("isURL('/a')", True),
        ("isURL('a b')", False),
        ("isURL('a')", False),
        ("url('https://u@ex.com:80/p%20x?a=1&a=2').getHost()", "ex.com:80"),
        ("url('https://ex.com:80/p').getHostname()", "ex.com"),
        ("url('https://[::1]:80/p').getHostname()", "::1"),
        ("url('https://ex.com:80/p').getPort()", "80"),
        ("url('https://ex.com/p').getPort()", ""),
        ("url('https://ex.com/p%20?a=1').getEscapedPath()", "/p%20"),
        ("url('https://ex.com/p?a=1&a=2').getQuery()['a'] == ['1', '2']", True),
        ("url('https://ex.com').getScheme()", "https"),
        ("'abc 123'.find('[0-9]+')", "123"),
        ("'abc'.find('[0-9]+')", ""),
        ("'1 22'.findAll('[0-9]+') == ['1', '22']", True),
        ("'1 22'.findAll('[0-9]+', 1) == ['1']", True),
        ("quantity('1000m') == quantity('1')", True),
        ("quantity('1Gi').isGreaterThan(quantity('1G'))", True),
        ("quantity('1').isLessThan(quantity('999m'))", False),
        ("quantity('1k').compareTo(quantity('1e3'))", 0),
        ("quantity('-1').sign()", -1),
        ("isQuantity('1.5Gi')", True),
        ("isQuantity('1.5 Gi')", False),
        ("quantity('1Ki').asInteger()", 1024),
        ("quantity('1.5').isInteger()", False),
        ("quantity('1.5').asApproximateFloat()", 1.5),
        ("quantity('1').add(quantity('500m')) == quantity('1.5')", True),
        ("quantity('1').sub(quantity('1')) == quantity('0')", True),
        ("ip('::1').isLoopback()", True),
        ("ip('1.2.3.4').family()", 4),
        ("ip('0.0.0.0').isUnspecified()", True),
        ("ip('169.254.1.1').isLinkLocalUnicast()", True),
        ("ip('8.8.8.8').isGlobalUnicast()", True),
        ("ip.isCanonical('::0001')", False),
        ("ip('::0001') == ip('::1')", True),
        ("isIP('1.2.3.4')", True),
        ("isIP('1.2.3')", False),
        ("isIP('::ffff:1.2.3.4')", False),
        ("isIP('fe80::1%eth0')", False),
        ("isCIDR('10.0.0.0/8')", True),
        ("isCIDR('10.0.0.0')", False),
        ("cidr('10.0.0.0/8').containsIP('10.1.2.3')", True),
        ("cidr('10.0.0.0/8').containsIP(ip('11.1.2.3'))", False),
        ("cidr('10.0.0.0/8').containsIP('::1')", False),
        ("cidr('10.0.0.0/8').containsCIDR(cidr('10.1.0.0/16'))", True),
        ("cidr('10.1.2.3/8').ip()", "10.1.2.3"),
        ("cidr('10.1.2.3/8').masked()", "10.0.0.0/8"),
        ("cidr('10.1.2.3/8').prefixLength()", 8),
        ("[1, 2, 3].sum() == 6", True),
        ("[1.5, 2.0].sum()", 3.5),
        ("[1, 3, 2].isSorted()", False),
        ("[1, 1, 2].isSorted()", True),
        ("['a', 'b'].max()", "b"),
        ("[2, 1].min()", 1),
        ("sets.contains([1, 2], [2])", True),
        ("sets.equivalent([1, 2], [2, 1, 1])", True),
        ("sets.intersects([1], [2])", False),
        ("'a,b'.split(',')[1]", "b"),
        ("'abc'.substring(1)", "bc"),
        ("'Ab'.lowerAscii()", "ab"),
        ("['a', 'b'].join('-')", "a-b"),
        ("{'a': 1}.?b.orValue(3)", 3),
        ("duration('5s') > duration('1ms')", True),
        ("[1, 2].exists_one(x, x == 1)", True),
        ("math.greatest(1, 2)", 2),
    ],
)
def test_what_rules_can_call(expression, expected):
    result = environment().compile(expression).eval(data={})
    assert result.value() == expected


@pytest.mark.parametrize(
    "expression",
    [
        "url('nope')",
        "'a'.find('[')",
        "'a'.find('" + "x" * 5000 + "')",
        "quantity('1e9999')",
        "quantity('" + "1" * 5000 + "')",
        "quantity('10E').asInteger()",
        "ip('x')",
        "cidr('10.0.0.0/99')",
        "[].max()",
        "[1, 'a'].isSorted()",
        "[1, 'a'].sum()",
        f"sets.contains({list(range(1100))}, {list(range(1100))})",
    ],
)
def test_what_they_refuse_is_an_error_of_the_rule(expression):
    program = environment().compile(expression)
    try:
        failed = program.eval(data={}).type().name() == "ERROR"
    except RuntimeError:
        failed = True
    assert failed
