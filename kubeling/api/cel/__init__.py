"""CEL as Kubernetes uses it: ``compile_program(env, source)`` gives a Program whose ``evaluate`` gives a value.

``kubernetes.BASE`` holds the functions of every Kubernetes expression; ``Env.extend`` adds variables. Complaints are
cel-go's texts. Own, since no library of the package index checks types against
declarations as cel-go does and says so in its words.
"""
