"""What a policy would have done on a load curve: a simulator, the real decision core, and the baselines' rules.

Model, formulas and parameters are told in docs/backtest.md. Needs numpy; a picture needs matplotlib, too. The
operator itself uses nothing from here.
"""
