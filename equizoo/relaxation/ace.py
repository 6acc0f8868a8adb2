"""ACE: γ as the variable of a constrained problem, steered by dual ascent.

Manolache et al., "Learning (Approximately) Equivariant Networks via Constrained Optimization", Algorithms 1
(equality constraints, γ = 0) and 2 (resilient constraints, |γ| <= u).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from equizoo.relaxation.layer import Relaxation
from equizoo.relaxation.method import Method, _require_layers

_DECAYS = {
    None: lambda p: 1.0,
    "linear": lambda p: 1.0 - p,
    "cosine": lambda p: 0.5 * (1.0 + math.cos(math.pi * p)),
}


class _Ace(Method):
    """Dual variables, their optimiser, and optionally the step of γ."""

    def __init__(
        self,
        layers: Mapping[str, Relaxation],
        dual_lr: float,
        dual_optimizer: str,
        dual_eps: float,
        gamma_lr: float | None,
        decay: str | None,
    ) -> None:
        _require_layers(layers, type(self).__name__)
        super().__init__(layers)
        if dual_lr < 0 or (gamma_lr is not None and gamma_lr <= 0) or dual_eps <= 0:
            raise ValueError(
                f"need dual_lr >= 0, gamma_lr > 0 and dual_eps > 0, got {dual_lr}, {gamma_lr} and {dual_eps}"
            )
        if dual_optimizer not in ("adam", "sgd"):
            raise ValueError(f"dual_optimizer is 'adam' or 'sgd', got {dual_optimizer!r}")
        if decay not in _DECAYS:
            raise ValueError(f"decay is None, 'linear' or 'cosine', got {decay!r}")
        self.dual_lr, self.dual_optimizer, self.dual_eps = dual_lr, dual_optimizer, dual_eps
        self.gamma_lr, self.decay = gamma_lr, decay
        self._checked = False
        zeros = torch.zeros_like(self.gammas.detach())
        self.register_buffer("dual", zeros)
        if dual_optimizer == "adam":
            self.register_buffer("dual_mean", zeros.clone())
            self.register_buffer("dual_square", zeros.clone())
            self.register_buffer("dual_steps", torch.zeros((), dtype=torch.int64))

    def owned(self) -> set[nn.Parameter]:
        """Return every γ when ``gamma_lr`` is set, else nothing."""
        return set() if self.gamma_lr is None else {term.gamma for term in self.layers.values()}

    def log(self) -> dict[str, float]:
        """Return ``gamma/<layer>`` and ``dual/<layer>``."""
        return super().log() | self._named("dual", self.dual)

    def _rate(self, rate: float) -> float:
        return rate * _DECAYS[self.decay](self.progress)

    def _check_used(self) -> None:
        """Raise in the first step if a branch got no gradient: its γ would fall to 0 and mean nothing."""
        if self._checked:
            return
        for name, term in self.layers.items():
            weights = [weight for weight in term.branch.parameters() if weight.requires_grad]
            alone = term.enabled and not term.chained  # nothing may read the end of a published chain
            if alone and weights and all(weight.grad is None for weight in weights):
                raise RuntimeError(
                    f"the branch of layer {name!r} took no part in the loss: nothing calls the layer (if the "
                    "module around it uses its weights, relax that one), or backward() was not called"
                )
        self._checked = True

    def _ascend(self, violation: Tensor) -> None:
        """Take one ascent step of λ along ``violation`` ``(L,)``, plain or by Adam."""
        rate = self._rate(self.dual_lr)
        if self.dual_optimizer == "sgd":
            self.dual.add_(violation, alpha=rate)
            return
        self.dual_steps += 1
        steps = int(self.dual_steps)
        self.dual_mean.mul_(0.9).add_(violation, alpha=0.1)
        self.dual_square.mul_(0.999).addcmul_(violation, violation, value=0.001)
        scale = (self.dual_square / (1 - 0.999**steps)).sqrt_().add_(self.dual_eps)
        self.dual.addcdiv_(self.dual_mean, scale, value=rate / (1 - 0.9**steps))

    def _step_gammas(self) -> None:
        """Take the plain gradient step of every owned γ."""
        for gamma in self.owned():
            if gamma.grad is not None:
                gamma.sub_(gamma.grad, alpha=self._rate(self.gamma_lr))
                gamma.grad = None


class AceEquality(_Ace):
    """ACE with equality constraints: ``min J  subject to  γ_i = 0``.

    The method ``ace-equality``. Each step descends the Lagrangian ``J + Σ λ_i γ_i + c Σ γ_i²`` in θ and γ
    and ascends it in λ; the ascent uses γ before its own step. The augmented term is ``c γ²``, as in the
    released implementation, not the textbook ``(c/2) γ²``.

    The defaults are the published scheme: γ in the primal optimiser, λ by Adam, ``c = 0``. Adam normalises
    the constraint violation, so on a task loss that is flat in γ the pair (γ, λ) keeps circling. The
    *damped dual* settles: ``dual_optimizer="sgd", gamma_lr=5e-3, dual_lr=5e-3, augmented=1.0``. With equal
    rates η the pair obeys ``γ'' + 2cηγ' + η²γ = 0``, critically damped at ``c = 1``.

    Args:
        layers: The relaxed layers, as :func:`equizoo.relaxation.relaxations` returns them.
        dual_lr: Rate of λ; a rate near the primal one is the paper's advice.
        dual_optimizer: ``"adam"`` as released, or ``"sgd"`` for plain ascent.
        gamma_lr: None: γ belongs to the primal optimiser, as published. A number: the method owns γ and
            moves it by plain gradient descent with this rate.
        augmented: The constant c.
        decay: None, or ``"linear"`` or ``"cosine"``: how the method's own rates fall to 0 with progress.
        dual_eps: What Adam adds to its scale; the released EGNO has 1e-4.

    Raises:
        ValueError: An option has a bad value, or there is no relaxed layer.

    Example:
        >>> from equizoo.relaxation import relax, relaxations
        >>> net = relax(nn.Sequential(nn.Linear(3, 1)), {"0": nn.Linear(3, 1)})
        >>> method = AceEquality(relaxations(net), dual_lr=0.1, dual_optimizer="sgd")
        >>> (net(torch.ones(2, 3)).square().mean() + method.penalty()).backward()
        >>> method.after_backward()
        >>> round(method.log()["dual/0"], 6)
        0.1

    References:
        ACE, Algorithm 1; initial values γ = 1 and λ = 0 from its Appendix A.2, rates from A.3.
    """

    def __init__(
        self,
        layers: Mapping[str, Relaxation],
        dual_lr: float = 1e-3,
        dual_optimizer: str = "adam",
        gamma_lr: float | None = None,
        augmented: float = 0.0,
        decay: str | None = None,
        dual_eps: float = 1e-8,
    ) -> None:
        super().__init__(layers, dual_lr, dual_optimizer, dual_eps, gamma_lr, decay)
        if augmented < 0:
            raise ValueError(f"augmented must not be negative, got {augmented}")
        self.augmented = augmented

    def penalty(self) -> Tensor:
        """Return ``Σ λ_i γ_i + c Σ γ_i²``."""
        gammas = self.gammas
        return self.dual @ gammas + self.augmented * gammas.square().sum()

    @torch.no_grad()
    def after_backward(self) -> None:
        """Ascend in λ with γ as it was in the forward pass, then move γ if the method owns it.

        Raises:
            RuntimeError: In the first step, a branch took no part in the loss.
        """
        self._check_used()
        self._ascend(self.gammas)
        self._step_gammas()


class AceResilient(_Ace):
    """ACE with resilient constraints: ``min J + (ρ/2)‖u‖²  subject to  |γ_i| <= u_i``.

    The method ``ace-resilient``. Each step descends ``J + (ρ/2)‖u‖² + Σ λ_i (|γ_i| - u_i)`` in θ, γ and the
    slacks u, and ascends it in λ, kept at λ >= 0. At rest ``u = λ/ρ = |γ|``, so a layer that needs the
    relaxation keeps it at ``dJ/d|γ| = -ρ|γ|``. This is the form of the paper; the released integrations
    differ from it and from each other.

    Args:
        layers: The relaxed layers, as :func:`equizoo.relaxation.relaxations` returns them.
        dual_lr: Rate of λ.
        dual_optimizer: ``"adam"`` as released, or ``"sgd"`` for plain ascent.
        gamma_lr: None: γ and u belong to the primal optimiser, as published. A number: the method owns
            both and moves them by plain gradient descent with this rate.
        rho: Price ρ of the slacks.
        decay: None, or ``"linear"`` or ``"cosine"``: how the method's own rates fall to 0 with progress.
        dual_eps: What Adam adds to its scale; the released EGNO has 1e-4.

    Raises:
        ValueError: An option has a bad value, or there is no relaxed layer.

    Example:
        >>> from equizoo.relaxation import relax, relaxations
        >>> net = relax(nn.Sequential(nn.Linear(3, 1)), {"0": nn.Linear(3, 1)})
        >>> sorted(AceResilient(relaxations(net), rho=1.0).log())
        ['dual/0', 'gamma/0', 'slack/0']

    References:
        ACE, Algorithm 2; ρ = 1 in the paper. Its Appendix A.5 bounds the branches by
        :func:`equizoo.relaxation.spectral_normalise`.
    """

    def __init__(
        self,
        layers: Mapping[str, Relaxation],
        dual_lr: float = 1e-3,
        dual_optimizer: str = "adam",
        gamma_lr: float | None = None,
        rho: float = 1.0,
        decay: str | None = None,
        dual_eps: float = 1e-8,
    ) -> None:
        super().__init__(layers, dual_lr, dual_optimizer, dual_eps, gamma_lr, decay)
        if rho <= 0:
            raise ValueError(f"rho must be positive, got {rho}")
        self.rho = rho
        slack = torch.zeros_like(self.dual)
        if gamma_lr is None:
            self.slack = nn.Parameter(slack)
        else:
            self.register_buffer("slack", slack)

    def penalty(self) -> Tensor:
        """Return ``(ρ/2)‖u‖² + Σ λ_i (|γ_i| - u_i)``."""
        return 0.5 * self.rho * self.slack.square().sum() + self.dual @ (self.gammas.abs() - self.slack)

    @torch.no_grad()
    def after_backward(self) -> None:
        """Ascend in λ >= 0 with γ and u as they were, then move γ and u if the method owns them.

        Raises:
            RuntimeError: In the first step, a branch took no part in the loss.
        """
        self._check_used()
        slack_gradient = self.rho * self.slack - self.dual
        self._ascend(self.gammas.abs() - self.slack)
        self.dual.clamp_(min=0)
        if self.gamma_lr is not None:
            self.slack.sub_(slack_gradient, alpha=self._rate(self.gamma_lr))
            self._step_gammas()

    def log(self) -> dict[str, float]:
        """Return ``gamma/<layer>``, ``dual/<layer>`` and ``slack/<layer>``."""
        return super().log() | self._named("slack", self.slack)
