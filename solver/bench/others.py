"""Gives a placement problem to one of the other solvers.

    others.py cbc|HiGHS|CP-SAT|z3 FILE SECONDS

prints status, objective, bound and the seconds that the solver itself took,
without the building of its model: those of the clock or of the processors,
whichever are fewer, and of a quick solve the best of up to five. Each may use
both processors if it can.
"""

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time


def spent():
    own, sub = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + sub.ru_utime + sub.ru_stime


class Timer:
    def __enter__(self):
        self.clock, self.used = time.monotonic(), spent()
        return self

    def __exit__(self, *_):
        self.seconds = min(time.monotonic() - self.clock, spent() - self.used)


def columns(p):
    """The integer program: columns y of each node, then in and out of each
    obligation; rows as (terms, least, most); columns that are 0."""
    n = len(p["weight"])
    x = lambda o, side: n + 2 * o + side - 1
    rows, zero = [], [i for i, can in enumerate(p["canHost"]) if not can]
    for o, t in enumerate(p["obligations"]):
        rows.append(([(x(o, 1), 1), (x(o, 2), 1)], 1, 1))
        rows.append(([(t["receiver"], 1), (x(o, 1), -1)], 0, None))
        for s in t["senders"]:
            rows.append(([(s, 1), (x(o, 2), -1)], 0, None))
        zero += [x(o, side) for side in (1, 2) if not t["may"] & side]
    for o, a, q, b in p["forbid"] or []:
        rows.append(([(x(o, a), 1), (x(q, b), 1)], None, 1))
    return p["weight"] + [0] * (2 * len(p["obligations"])), rows, zero


def cbc(p, limit):
    cost, rows, zero = columns(p)
    name = lambda i: "x%d" % i
    with tempfile.TemporaryDirectory() as d:
        path, out = os.path.join(d, "p.lp"), os.path.join(d, "answer")
        with open(path, "w") as f:
            f.write("Minimize\n obj: ")
            f.write("\n + ".join("%d %s" % (c, name(i)) for i, c in enumerate(cost) if c))
            f.write("\nSubject To\n")
            for terms, least, most in rows:
                f.write(" " + " ".join("%+d %s" % (c, name(i)) for i, c in terms))
                f.write(" = %d\n" % least if least == most else " >= %d\n" % least if most is None else " <= %d\n" % most)
            f.write("Bounds\n" + "".join(" %s = 0\n" % name(i) for i in zero))
            f.write("Binaries\n" + "\n".join(name(i) for i in range(len(cost))) + "\nEnd\n")
        text = subprocess.run(["cbc", path, "-sec", str(limit), "-threads", "2", "-solve", "-solution", out],
                              capture_output=True, text=True).stdout
        # cbc says itself what it took, in hundredths, the reading left out.
        took = re.search(r"Total time \(CPU seconds\):\s+([\d.]+)\s+\(Wallclock seconds\):\s+([\d.]+)", text)
        seconds = max(0.01, min(float(took[1]), float(took[2]))) if took else limit
        head = open(out).readline() if os.path.exists(out) else ""
    value = re.search(r"objective value\s+([-\d.e+]+)", head)
    bound = re.search(r"Lower bound:\s+([-\d.]+)", text)
    return dict(best=head.startswith("Optimal"), objective=float(value[1]) if value and "Infeasible" not in head else None,
                bound=float(bound[1]) if bound else None, seconds=seconds)


def highs(p, limit):
    import highspy

    cost, rows, zero = columns(p)
    h = highspy.Highs()
    h.silent()
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(cost), len(rows)
    lp.col_cost_ = [float(c) for c in cost]
    lp.col_lower_ = [0.0] * len(cost)
    upper = [1.0] * len(cost)
    for i in zero:
        upper[i] = 0.0
    lp.col_upper_ = upper
    inf = highspy.kHighsInf
    lp.row_lower_ = [-inf if least is None else float(least) for _, least, _ in rows]
    lp.row_upper_ = [inf if most is None else float(most) for _, _, most in rows]
    lp.integrality_ = [highspy.HighsVarType.kInteger] * len(cost)
    start, index, value = [0], [], []
    for terms, _, _ in rows:
        index += [i for i, _ in terms]
        value += [float(c) for _, c in terms]
        start.append(len(index))
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = start, index, value
    h.passModel(lp)
    h.setOptionValue("time_limit", float(limit))
    h.setOptionValue("mip_rel_gap", 0.0)
    with Timer() as t:
        h.run()
    info = h.getInfo()
    return dict(best=h.getModelStatus() == highspy.HighsModelStatus.kOptimal,
                objective=info.objective_function_value if info.primal_solution_status == 2 else None,
                bound=info.mip_dual_bound, seconds=t.seconds)


def cpsat(p, limit):
    from ortools.sat.python import cp_model

    cost, rows, zero = columns(p)
    m = cp_model.CpModel()
    v = [m.new_bool_var("") for _ in cost]
    sure = set(zero)
    for i in sure:
        m.add(v[i] == 0)
    # As clauses, which is how it likes them best: every row here is one.
    for terms, least, most in rows:
        if least == most:
            m.add_exactly_one([v[i] for i, _ in terms])
        elif most is not None:
            m.add_at_most_one([v[i] for i, _ in terms])
        else:
            m.add_bool_or([v[i] if c > 0 else ~v[i] for i, c in terms])
    m.minimize(sum(c * v[i] for i, c in enumerate(cost) if c))
    s = cp_model.CpSolver()
    s.parameters.max_time_in_seconds = limit
    s.parameters.num_workers = 2
    with Timer() as t:
        status = s.solve(m)
    found = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    return dict(best=status == cp_model.OPTIMAL, objective=s.objective_value if found else None,
                bound=s.best_objective_bound, seconds=t.seconds)


def z3(p, limit):
    """The published shape: a boolean for each service and for each side of each
    obligation, implications, and the services as soft constraints."""
    import z3 as z

    o = z.Optimize()
    o.set("timeout", int(1000 * limit))
    y = [z.Bool("y%d" % i) for i in range(len(p["weight"]))]
    for i, can in enumerate(p["canHost"]):
        if not can:
            o.add(z.Not(y[i]))
    side = {}
    for i, t in enumerate(p["obligations"]):
        a, b = side[i, 1], side[i, 2] = z.Bool("in%d" % i), z.Bool("out%d" % i)
        o.add(z.Xor(a, b), z.Implies(a, y[t["receiver"]]), z.Implies(b, z.And([y[s] for s in t["senders"]])))
        o.add(*[z.Not(side[i, s]) for s in (1, 2) if not t["may"] & s])
    for q, a, r, b in p["forbid"] or []:
        o.add(z.Not(z.And(side[q, a], side[r, b])))
    for i, w in enumerate(p["weight"]):
        goal = o.add_soft(z.Not(y[i]), w, "adms")
    with Timer() as t:
        status = o.check()
    objective = None
    if status == z.sat:
        model = o.model()
        objective = sum(w for i, w in enumerate(p["weight"]) if z.is_true(model[y[i]]))
    return dict(best=status == z.sat, objective=objective, bound=None, seconds=t.seconds)


def main():
    name, path, limit = sys.argv[1], sys.argv[2], float(sys.argv[3])
    with open(path) as f:
        p = json.load(f)
    solve = {"cbc": cbc, "HiGHS": highs, "CP-SAT": cpsat, "z3": z3}[name]
    answer = solve(p, limit)
    total, tries = answer["seconds"], 1
    while answer["best"] and total < 0.5 and tries < 5:
        again = solve(p, limit)
        total, tries = total + again["seconds"], tries + 1
        answer["seconds"] = min(answer["seconds"], again["seconds"])
    whole = lambda x: 0 if x is None or abs(x) > 1e15 else round(x)
    print(json.dumps({
        "status": "best" if answer["best"] else "timed out",
        "seconds": answer["seconds"],
        "objective": whole(answer["objective"]),
        "bound": 0 if answer["bound"] is None or abs(answer["bound"]) > 1e15 else int(-(-(answer["bound"] - 1e-6) // 1)),
    }))


main()
